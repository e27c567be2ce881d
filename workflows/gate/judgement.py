"""What a judgement of health consists of; values only."""

from dataclasses import dataclass, field
from enum import StrEnum

from activities.evidence import Epoch, History
from storage.campaign import VerdictWord
from storage.canonical import ADDED
from storage.health_policy import SignalRole


class Says(StrEnum):
    """What one signal says."""

    HARM = "harm"
    """Beyond chance, and at least the threshold."""
    CLEAR = "clear"
    """The upper bound of the harm is below the threshold."""
    QUIET = "quiet"
    """No harm was shown and the estimate is below the threshold, but its bound is not."""
    DOUBT = "doubt"
    """At least the threshold, and hardly chance, but not beyond what this look may err with."""
    OPEN = "open"
    """Cannot be told yet."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One arm in numbers; only chargers of strata that have both arms."""

    chargers: int
    hits: int
    exposure: int
    base_hits: int = 0
    base_exposure: int = 0

    @property
    def value(self) -> float:
        """Hits per exposure."""
        return self.hits / self.exposure if self.exposure else 0.0

    @property
    def baseline(self) -> float | None:
        """The same in the days before; None: unknown."""
        return self.base_hits / self.base_exposure if self.base_exposure else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One signal over the fleet or one segment."""

    signal: str
    segment: str
    """``vendor/model``; empty: all."""
    role: SignalRole
    says: Says
    treated: Rate
    control: Rate
    threshold: float
    estimate: float
    """How much more of it the updated have, within strata, their own past taken into account."""
    upper: float
    """The harm is below this with the policy's confidence."""
    chance: float
    """How likely chance alone leads to as much."""
    alpha: float
    """Harm is shown if ``chance`` is at most this; 0: this look was not paid for."""
    test: str
    sentence: str
    needs_hours: float | None = None
    """Of an open one: further hours after which it may be told, at the present rate."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The word on the health of a wave, and all behind it."""

    word: VerdictWord
    reason: str
    decided_by: str
    """The signal (and segment) or the rule that decided."""
    would_change: str
    """What would lead to another word."""
    comparisons: tuple[Comparison, ...] = ()
    bad_segments: tuple[str, ...] = ()
    """Models to be taken out, by a policy that excludes."""
    hours: float = 0.0
    """Charger-hours that the updated have lived."""
    resolves_hours: float | None = None
    """Of a hold: hours after which it may resolve; None: not by waiting."""
    epoch: Epoch | None = None
    """This look, if it was paid for."""
    history: History = field(default_factory=History)
    """What the next look is to be given."""
    hour_seconds: int | None = field(default=None, metadata=ADDED)
    """How long an hour lasts here; None: an hour."""
