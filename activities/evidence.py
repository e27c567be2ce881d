"""What a health verdict rests on: per signal and stratum two arms, in whole numbers.

An *arm* is the updated chargers of a stratum (model, hardware, site type), or those that are not updated
yet. A charger's counts become one *score*: its hits minus what a charger with its exposure would have had in
its stratum, minus what its own days before the update explain. Scores are computed without looking at
the arms, so under "the update changes nothing" every division of a stratum's scores into arms was as likely
as the one that was drawn, and the sum over the updated has a known distribution, whatever chargers are like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from storage.canonical import ADDED

MICRO = 1_000_000
"""Scores are kept in millionths of a hit, so that sums are exact in any order."""
TABLE = 64
"""Up to so many updated chargers of a signal, single scores are kept and the test is exact."""
TABLE_CONTROLS = 4
"""Beside each of them the scores of so many others, the first in the caller's order."""


def segment_of(stratum: str) -> str:
    """``vendor/model`` of a stratum's name."""
    return stratum.split("|", 1)[0]


@dataclass(frozen=True, slots=True)
class Counts:
    """One signal of many chargers: columns parallel to ``Sample.strata``; whole numbers."""

    hits: Sequence[int]
    exposure: Sequence[int]
    base_hits: Sequence[int] = ()
    """The charger's own baseline of 7 to 14 days; empty: there is none."""
    base_exposure: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """Chargers as measured, one row each.

    The exact test takes the first rows of those not updated yet, so the order of rows must not depend on
    their counts: as drawn.
    """

    strata: Sequence[str]
    """``vendor/model|hardware|site type``; what is before the first ``|`` is the segment."""
    sites: Sequence[str]
    treated: Sequence[bool]
    """In which arm it was drawn."""
    minutes: Sequence[int]
    """How long it was watched: since its proof of the new version, or since the one it is paired with."""
    heard: Sequence[bool]
    """Whether anything at all was heard of it meanwhile."""
    signals: Mapping[str, Counts]


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of one stratum for one signal."""

    chargers: int = 0
    """Those with exposure: a charger without a session says nothing of sessions."""
    hits: int = 0
    exposure: int = 0
    base_hits: int = 0
    base_exposure: int = 0
    score: int = 0
    """Sum of the scores, in millionths of a hit."""
    table: tuple[int, ...] = ()
    """Single scores, where the arms are small."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Both arms of one stratum, and how its scores are spread over both together."""

    name: str
    treated: Arm
    control: Arm
    squares: float = 0.0
    """Summed in whole numbers and rounded once: JSON has no larger ones than 64 bits."""
    cubes: float = 0.0

    @property
    def segment(self) -> str:
        """``vendor/model``."""
        return segment_of(self.name)


@dataclass(frozen=True, slots=True)
class Cluster:
    """How the parts of sites in the difference are spread, the chargers of one moving together (R42)."""

    segment: str
    """Empty: all."""
    sites: int
    """With an updated charger that has exposure."""
    squares: float
    """In squared millionths."""


@dataclass(frozen=True, slots=True)
class SignalEvidence:
    """One signal over all strata."""

    signal: str
    strata: tuple[Stratum, ...]
    clusters: tuple[Cluster, ...] = ()
    """Over all, and of each segment if there are several."""
    binary: bool = False
    """Each charger counts zero or one: the distribution of a sum is known exactly."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of an arm was watched."""

    chargers: int = 0
    heard: int = 0
    minutes: int = 0
    sites: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that health says at one look. Bounded: no row of it is a charger, but for small arms."""

    treated: Coverage
    control: Coverage
    signals: tuple[SignalEvidence, ...]
    last: bool = False
    """Nobody is left to be updated after this wave."""
    behind_seconds: float = 0.0
    """How far the counters are behind the events."""
    excluded: tuple[str, ...] = ()
    """Segments that left the campaign."""
    changed: int | None = field(default=None, metadata=ADDED)
    """Chargers left out because they do not run what their arm runs: updated ones that went back, others that
    got firmware from elsewhere; and all that another campaign updated meanwhile. None: there is none."""
    hour_seconds: int | None = field(default=None, metadata=ADDED)
    """How long an hour lasts here; None: an hour."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One look that was paid for."""

    number: int
    """From 1, over the whole campaign and those of its kind; it may err with 1 / (number (number + 1))."""
    wave: int
    hours: float
    """Charger-hours of the updated at that time."""
    early: bool = False
    """Before the updated had lived as long as demanded: only a tenth of ``false_stop`` is for those."""


@dataclass(frozen=True, slots=True)
class History:
    """What of earlier looks decides about this one; handed from look to look by the campaign."""

    epochs: tuple[Epoch, ...] = ()
    passed: tuple[int, ...] = ()
    """Waves whose health verdict was to proceed."""
    excluded: tuple[str, ...] = ()
    """Segments that were judged bad and left."""
