"""What updates of a model have looked like, learned from stored events, beside what is declared (F74).

A trail is one update command and what the charger said until it was up again. Pure: the store reads the
trails (bounded), these functions make a profile of them and say how one attempt departs from it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from math import ceil

from storage.events import FIRMWARE_FAILURES, FirmwareStatus

MIN_SAMPLES = 5
"""Fewer updates than this teach nothing that an attempt could be held to."""
SLACK = 1.5
"""An attempt is slow where it takes longer than this times the slowest seen."""
GRACE_S = 30.0
"""And longer by at least this: a stage of a second is not slow after two."""


class Step(StrEnum):
    """What may follow the command."""

    COMMANDED = "Commanded"
    DOWNLOADING = "Downloading"
    DOWNLOADED = "Downloaded"
    VERIFIED = "SignatureVerified"
    INSTALLING = "Installing"
    REBOOTING = "InstallRebooting"
    GONE = "Disconnected"
    BOOTED = "Booted"
    INSTALLED = "Installed"


_OF_STATUS = {
    FirmwareStatus.DOWNLOADING: Step.DOWNLOADING,
    FirmwareStatus.DOWNLOADED: Step.DOWNLOADED,
    FirmwareStatus.SIGNATURE_VERIFIED: Step.VERIFIED,
    FirmwareStatus.INSTALLING: Step.INSTALLING,
    FirmwareStatus.INSTALL_REBOOTING: Step.REBOOTING,
    FirmwareStatus.INSTALLED: Step.INSTALLED,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that happened after an update command, by the server's clock."""

    at: datetime
    step: Step | None
    failed: bool = False
    """A failure status: the trail ends and teaches nothing of how long success takes."""
    version: str | None = None
    """Of a boot."""


@dataclass(frozen=True, slots=True)
class Trail:
    """One update attempt of one charger."""

    charger_id: str
    commanded_at: datetime
    from_version: str | None
    marks: tuple[Mark, ...]
    """In the order in which they came."""

    @property
    def succeeded(self) -> bool:
        """It booted with another version than before, and no failure was told."""
        changed = any(
            mark.step is Step.BOOTED and mark.version not in (None, self.from_version) for mark in self.marks
        )
        return changed and not any(mark.failed for mark in self.marks)

    def firsts(self) -> dict[Step, float]:
        """Seconds from the command to the first of each step, in order."""
        found: dict[Step, float] = {Step.COMMANDED: 0.0}
        for mark in self.marks:
            if mark.step is not None and mark.step not in found:
                found[mark.step] = (mark.at - self.commanded_at).total_seconds()
        return found

    def reboot_s(self) -> float | None:
        """From the last loss of the socket before the first boot to that boot."""
        gone: datetime | None = None
        for mark in self.marks:
            if mark.step is Step.GONE:
                gone = mark.at
            elif mark.step is Step.BOOTED:
                return (mark.at - gone).total_seconds() if gone else None
        return None


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds, over all samples."""

    samples: int
    p50: float
    p95: float
    longest: float


@dataclass(frozen=True, slots=True)
class Stage:
    """From one step to the next that was seen."""

    begins: Step
    ends: Step
    seconds: Spread


@dataclass(frozen=True, slots=True)
class LearnedProfile:
    """What the updates of one model (from one version, if that was asked for) looked like."""

    vendor: str
    model: str
    from_version: str | None
    attempts: int
    succeeded: int
    order: tuple[Step, ...] = ()
    """The commonest order of steps among those that succeeded."""
    order_share: float = 0.0
    """How many of them kept to it."""
    never: tuple[Step, ...] = ()
    """Steps of the standard that none of them showed."""
    stages: tuple[Stage, ...] = ()
    reboot: Spread | None = None
    whole: Spread | None = None
    """From the command to the boot."""


def status_mark(at: datetime, status: FirmwareStatus) -> Mark:
    """What a firmware status says of a trail."""
    return Mark(at, _OF_STATUS.get(status), failed=status in FIRMWARE_FAILURES)


def learn(
    vendor: str, model: str, trails: Sequence[Trail], from_version: str | None = None
) -> LearnedProfile:
    """The profile of these trails; of no trails, one without expectations."""
    good = [trail for trail in trails if trail.succeeded]
    orders = Counter(tuple(trail.firsts()) for trail in good)
    # The same trails give the same profile, whatever order they were read in.
    order, kept = min(orders.items(), key=lambda item: (-item[1], item[0]), default=((), 0))
    seen = frozenset(step for known in orders for step in known)
    return LearnedProfile(
        vendor,
        model,
        from_version,
        len(trails),
        len(good),
        order,
        kept / len(good) if good else 0.0,
        tuple(step for step in Step if step not in seen) if good else (),
        _stages(order, good),
        spread([took for trail in good if (took := trail.reboot_s()) is not None]),
        spread([trail.firsts()[Step.BOOTED] for trail in good]),
    )


def _stages(order: tuple[Step, ...], trails: Sequence[Trail]) -> tuple[Stage, ...]:
    stages = []
    for begins, ends in pairwise(order):
        firsts = [trail.firsts() for trail in trails]
        took = [each[ends] - each[begins] for each in firsts if begins in each and ends in each]
        seconds = spread([each for each in took if each >= 0])
        if seconds:
            stages.append(Stage(begins, ends, seconds))
    return tuple(stages)


def spread(seconds: Sequence[float]) -> Spread | None:
    """Nearest-rank percentiles; None of nothing."""
    if not seconds:
        return None
    known = sorted(seconds)

    def rank(share: float) -> float:
        return round(known[max(ceil(share * len(known)) - 1, 0)], 3)

    return Spread(len(known), rank(0.5), rank(0.95), round(known[-1], 3))


def deviations(profile: LearnedProfile, trail: Trail, now: datetime) -> tuple[str, ...]:
    """How this attempt departs from what is learned, in words; nothing where too little is."""
    if profile.succeeded < MIN_SAMPLES:
        return ()
    return (*_strange_order(profile, trail), *_slow(profile, trail, now))


def _strange_order(profile: LearnedProfile, trail: Trail) -> tuple[str, ...]:
    firsts = tuple(trail.firsts())
    strange = [step for step in firsts if step in profile.never]
    found = [f"{step.value} was never seen in {profile.succeeded} updates" for step in strange]
    expected = [step for step in profile.order if step in firsts]
    kept = [step for step in firsts if step in profile.order]
    if kept != expected and profile.order_share == 1.0:
        found.append(f"the order {_arrows(kept)} instead of {_arrows(expected)}")
    return tuple(found)


def _slow(profile: LearnedProfile, trail: Trail, now: datetime) -> tuple[str, ...]:
    firsts, found = trail.firsts(), []
    for stage in profile.stages:
        begun, ended = firsts.get(stage.begins), firsts.get(stage.ends)
        if begun is None:
            continue
        over = any(mark.failed for mark in trail.marks) and ended is None
        took = ((now - trail.commanded_at).total_seconds() if ended is None else ended) - begun
        if not over and took > limit_s(stage.seconds):
            word = "takes" if ended is None else "took"
            found.append(
                f"{stage.begins.value} to {stage.ends.value} {word} {took:.0f} s; "
                f"the longest of {stage.seconds.samples} was {stage.seconds.longest:.0f} s"
            )
    return tuple(found)


def limit_s(seconds: Spread) -> float:
    """From when on a stage is slow."""
    return max(seconds.longest * SLACK, seconds.longest + GRACE_S)


def _arrows(steps: Sequence[Step]) -> str:
    return " > ".join(step.value for step in steps)
