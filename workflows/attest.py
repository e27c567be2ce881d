"""What became of one attempt. Pure: sightings in, a judgement out.

Success has one proof: a boot after the command that reports the target version (R28, S27). Where a boot
tells none (2.x leaves it open), what was read after that very boot stands for it, and nothing read before.
A status alone never decides success; it may decide failure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from activities.facts import AttemptFacts, Sighting, sighting_in
from storage.events import FIRMWARE_FAILURES, FirmwareStatus
from workflows.messages import Mark
from workflows.signals import ChargerSignal
from workflows.silence import Blame, diagnose, installing

# Said when the image is about to run: a boot with another version after one of these fell back.
_INSTALLED = frozenset({FirmwareStatus.INSTALLED, FirmwareStatus.INSTALL_REBOOTING})
# The image never ran; the network or the charger's storage is to blame as likely as the firmware.
_HARMLESS = frozenset({FirmwareStatus.DOWNLOAD_FAILED})
# Answers a trigger and tells nothing of our request (L01.FR.20).
_SAYS_NOTHING = frozenset({FirmwareStatus.IDLE})


class Finding(StrEnum):
    """How an attempt ended."""

    UPDATED = "updated"
    FAILED = "failed"
    """The charger said so, or came back with another version."""
    OVERDUE = "overdue"
    """Alive at the deadline, but never proved the version."""
    SILENT = "silent"
    """Away at the deadline (R24)."""
    UNDECIDED = "undecided"
    """Nobody of ours listened long enough to know."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One attempt, judged."""

    finding: Finding
    reason: str
    retryable: bool = False
    suspicious: bool = True
    """The firmware may be to blame, so it counts towards an early stop at once."""
    cause: Mark | None = None
    """Why it failed, for whoever decides about another attempt (R26)."""
    network: bool = False
    """The network is to blame more likely than the charger (X7)."""
    halt: bool = False
    """A signature did not hold on the charger: nothing more may be sent (S38)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was asked of the charger. ``request_id`` None: not known (yet)."""

    to_version: str
    since: datetime
    request_id: int | None
    needs_reset: bool = False
    """Its model installs, but runs the image only after a Reset."""
    reset_at: datetime | None = None
    """When that was asked for, if the charger accepted it."""


def sighting_of(signal: ChargerSignal) -> Sighting | None:
    """The sighting in a signal, or None if it carries none."""
    if signal.received_at is None:
        return None
    return sighting_in(signal.sequence, signal.received_at, signal.kind, signal.body)


def judge(attempt: Attempt, sightings: Iterable[Sighting], *, reads: bool = True) -> Judgement | None:
    """The judgement that the sightings allow, in the order they happened, or None: keep waiting.

    ``reads``: a boot without a version is followed by what is read of it, and decides nothing before.
    """
    installed, boot = False, None
    for sighting in sorted(_relevant(attempt, sightings), key=lambda one: one.sequence):
        if sighting.booted:
            boot = sighting
            verdict = _judge_boot(attempt, boot, installed=installed) if boot.version or not reads else None
        elif sighting.read_after is not None:
            verdict = _judge_read(attempt, sighting, boot, installed=installed)
        else:
            verdict = _judge_status(sighting)
            installed = installed or sighting.status in _INSTALLED
        if verdict:
            return verdict
    return None


def from_proof_on(attempt: Attempt, sightings: Iterable[Sighting]) -> list[Sighting]:
    """The sighting that proved the version and those after it, in the order they happened; [] without one."""
    told = sorted(_relevant(attempt, sightings), key=lambda one: one.sequence)
    for place in range(len(told)):
        judged = judge(attempt, told[: place + 1])
        if judged is not None:
            return told[place:] if judged.finding is Finding.UPDATED else []
    return []


def installed_seen(attempt: Attempt, sightings: Iterable[Sighting]) -> bool:
    """Whether the charger said it is installed (and a model that needs it should be reset now)."""
    return any(one.status is FirmwareStatus.INSTALLED for one in _relevant(attempt, sightings))


def told_no_version(attempt: Attempt, sightings: Iterable[Sighting]) -> bool:
    """Whether it booted since the command without saying what it runs."""
    return any(one.booted and not one.version for one in _relevant(attempt, sightings))


def progress_seen(attempt: Attempt, sightings: Iterable[Sighting]) -> bool:
    """Whether the charger spoke of our request: the command arrived, even if its answer did not."""
    return any(one.status is not None for one in _relevant(attempt, sightings))


def judge_deadline(attempt: Attempt, facts: AttemptFacts, now: datetime) -> Judgement:
    """The judgement at the deadline; the sightings in ``facts`` allowed none.

    Alive is who is connected to a node that lives, and was heard since the command and lately.
    """
    oldest = max(attempt.since, now - timedelta(seconds=facts.stale_s))
    heard = facts.last_message_at is not None and facts.last_message_at >= oldest
    if facts.route is not None and facts.online and heard:
        reason = f"it is alive but did not boot with {attempt.to_version} before the deadline"
        if told_no_version(attempt, facts.sightings):
            reason = f"it booted, and until the deadline nothing proved that it runs {attempt.to_version}"
        return Judgement(Finding.OVERDUE, reason, retryable=True, cause=Mark.OVERDUE)
    return _silent(attempt, facts, now)


def judge_stage(attempt: Attempt, facts: AttemptFacts, sightings: Iterable[Sighting]) -> Judgement | None:
    """Whether to ask anew before the deadline: no charger of its model ever fetched for so long (R23).

    Only before the install: what is being written must not be interrupted.
    """
    if facts.breaks:
        return None  # It may have lasted that long because we were not there to be fetched from.
    if not facts.stuck or facts.route is None or installing(_relevant(attempt, sightings)):
        return None
    reason = f"its download is stuck: {facts.stuck}"
    return Judgement(Finding.OVERDUE, reason, retryable=True, suspicious=False, cause=Mark.FETCH)


def _silent(attempt: Attempt, facts: AttemptFacts, now: datetime) -> Judgement:
    reason = "it did not come back before the deadline"
    if facts.silence is None:
        return Judgement(Finding.SILENT, reason)
    touched = installing(_relevant(attempt, facts.sightings))
    found = diagnose(facts.silence, now, touched=touched)
    network = found.blame is Blame.NETWORK
    return Judgement(Finding.SILENT, f"{reason}; {found.reason}", suspicious=not network, network=network)


def _relevant(attempt: Attempt, sightings: Iterable[Sighting]) -> list[Sighting]:
    return [one for one in sightings if one.at >= attempt.since and (_of_a_boot(one) or _ours(attempt, one))]


def _of_a_boot(sighting: Sighting) -> bool:
    return sighting.booted or sighting.read_after is not None


def _ours(attempt: Attempt, sighting: Sighting) -> bool:
    if sighting.status in _SAYS_NOTHING:
        return False
    # Plain OCPP 1.6 has no request id in its status; in 2.x it is ours or another's.
    return sighting.request_id is None or sighting.request_id == attempt.request_id


def _judge_boot(attempt: Attempt, boot: Sighting, *, installed: bool) -> Judgement | None:
    if boot.version == attempt.to_version:
        return Judgement(Finding.UPDATED, f"it booted with {boot.version} after the command")
    if installed and _fell_back(attempt, boot):
        reason = f"it installed {attempt.to_version} and came back with {boot.version or 'no version'}"
        return Judgement(Finding.FAILED, reason)
    return None  # A reboot on the way; the update may go on.


def _judge_read(
    attempt: Attempt, read: Sighting, boot: Sighting | None, *, installed: bool
) -> Judgement | None:
    """A reading tells of which boot it is, so it stands for that boot, if that came after the command."""
    of = read.read_after
    if of is None or of < attempt.since or (boot is not None and boot.at > of):
        return None
    return _judge_boot(attempt, replace(read, at=of, booted=True), installed=installed)


def _fell_back(attempt: Attempt, boot: Sighting) -> bool:
    """Whether a boot with another version, after it was installed, shows that the image did not run."""
    if boot.triggered:
        return False
    return not attempt.needs_reset or (attempt.reset_at is not None and boot.at >= attempt.reset_at)


def _judge_status(sighting: Sighting) -> Judgement | None:
    status = sighting.status
    if status is None or status not in FIRMWARE_FAILURES:
        return None
    reason = f"it reported {status.value}"
    if status is FirmwareStatus.INVALID_SIGNATURE:
        return Judgement(Finding.FAILED, f"{reason}: the vendor signature did not hold there", halt=True)
    cause = Mark.FETCH if status in _HARMLESS else Mark.INSTALL
    return Judgement(Finding.FAILED, reason, retryable=True, suspicious=cause is Mark.INSTALL, cause=cause)
