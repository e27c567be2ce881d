"""Whether a charger stays up with what it proved. Pure: sightings and a session in, a judgement out.

A boot with the version proves that the image runs, not that it goes on running: one that crashes under its
watchdog boots with it again and again. Where the plan says so, a proof counts once it has lasted, in one
session and without another boot; until then the charger stays out of service and its site's slot is taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from activities.facts import AttemptFacts, Sighting
from workflows.attest import Attempt, Finding, Judgement, from_proof_on, judge_deadline
from workflows.messages import Mark


@dataclass(frozen=True, slots=True)
class Stand:
    """What a charger told from its proof on."""

    boots: int
    booted_at: datetime
    """Of the last one."""
    version: str | None
    """As of that boot; None: it told none, and it was not read yet."""


@dataclass(frozen=True, slots=True)
class Vigil:
    """A wait in which nothing may happen."""

    seconds: float
    proved_at: datetime
    since: datetime
    """A boot or a lost connection begins it anew."""
    epoch: int | None
    """Of the session that has to last; None: it is away."""
    boots: int
    losses: int = 0
    """Connections that were lost without a boot."""

    @property
    def until(self) -> datetime:
        """When it has lasted, if nothing happens."""
        return self.since + timedelta(seconds=self.seconds)

    def kept(self, stand: Stand, epoch: int | None, now: datetime) -> "Vigil":
        """The same after a look: begun anew if it booted, is away, or comes over another session."""
        if stand.boots > self.boots:
            return replace(self, boots=stand.boots, since=now, epoch=epoch)
        if epoch is not None and epoch == self.epoch:
            return self
        lost = self.epoch is not None
        return replace(self, since=now, epoch=epoch, losses=self.losses + lost)

    def lasted(self, stand: Stand, now: datetime) -> bool:
        """Whether it stayed up for long enough, with a version that is known."""
        return self.epoch is not None and stand.version is not None and now >= self.until


def begun(seconds: float, stand: Stand, epoch: int | None, now: datetime) -> Vigil:
    """The wait after a proof, from now on: the clock of its node may be behind ours."""
    return Vigil(seconds, min(now, stand.booted_at), now, epoch, stand.boots)


def stand_of(attempt: Attempt, sightings: Iterable[Sighting]) -> Stand | None:
    """What it told from its proof on; None: there is no proof."""
    told = from_proof_on(attempt, sightings)
    if not told:
        return None
    first = told[0]
    stand = Stand(1, first.read_after or first.at, attempt.to_version)
    for one in told[1:]:
        if stand.version not in (None, attempt.to_version):
            break  # It fell back, whatever comes after.
        stand = _after(stand, one)
    return stand


def _after(stand: Stand, one: Sighting) -> Stand:
    if one.booted and not one.triggered:
        return Stand(stand.boots + 1, one.at, one.version)
    of_this_boot = one.booted or (one.read_after is not None and one.read_after >= stand.booted_at)
    return replace(stand, version=one.version) if of_this_boot and one.version else stand


def judge_vigil(attempt: Attempt, vigil: Vigil, stand: Stand, now: datetime) -> Judgement | None:
    """The judgement on one that proved the version, or None: wait on."""
    version = attempt.to_version
    if stand.version not in (None, version):
        came = max(1, stand.boots - 1)  # the last one was with the other version, unless it only told of it
        what = "it came back once" if came == 1 else f"boot loop: it came back {came} times"
        return Judgement(Finding.FAILED, f"{what} with {version}, and fell back to {stand.version} by itself")
    if not vigil.lasted(stand, now):
        return None
    reason = f"it booted with {version} after the command and stayed up for {vigil.seconds:g} s"
    return Judgement(Finding.UPDATED, reason)


def judge_vigil_deadline(attempt: Attempt, vigil: Vigil, facts: AttemptFacts, now: datetime) -> Judgement:
    """The judgement at the deadline on one that proved the version, and has not stayed up for so long."""
    away = judge_deadline(attempt, facts, now)
    if away.finding is Finding.SILENT:
        return away
    passed = (now - vigil.proved_at).total_seconds()
    if vigil.boots == 1 and not vigil.losses and passed >= vigil.seconds:
        reason = f"it booted with {attempt.to_version} after the command and stayed up for {passed:.0f} s"
        return Judgement(
            Finding.UPDATED, reason
        )  # Its proof was seen late; it is there, and told of no other.
    if vigil.boots == 1 and not vigil.losses:
        reason = (
            f"it booted with {attempt.to_version} {passed:.0f} s before the deadline, too late to be seen "
            f"to stay up for {vigil.seconds:g} s"
        )
        return Judgement(Finding.FAILED, reason, retryable=True, suspicious=False, cause=Mark.OVERDUE)
    lost = f", and lost its connection {_times(vigil.losses)} beside" if vigil.losses else ""
    boots = "1 boot" if vigil.boots == 1 else f"{vigil.boots} boots"
    return Judgement(Finding.FAILED, f"it did not stay up: {boots} in {passed:.0f} s{lost}")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
