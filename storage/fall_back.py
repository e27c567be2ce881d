"""Whether a charger fell back by itself from an image that we sent it. Pure: events in, a judgement out.

A charger with two slots boots with a new image, crashes, tries again, and in the end runs what it ran before.
That is a failed update and nobody's doing, if its own boots show all of it: the new version first, then the
former one, no third, soon, and nobody opened it or brought it anything meanwhile: what it falls back to lies
in its other slot already. Whatever they do not show is no fall back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from storage.events import FIRMWARE_DISTRUST, NO_RESTART, EventKind, FirmwareStatus, StoredEvent

WITHIN = timedelta(days=1)
"""Between the first boot with the new version and the first with the former one. Later it is another story:
who goes back to an old version after weeks is looked at by a person."""
TAMPER_EVENTS = frozenset({"TamperDetectionActivated"})
SOMEBODYS = TAMPER_EVENTS | FIRMWARE_DISTRUST | {"SecurityLogWasCleared"}
"""Security events that speak of a person: opened, offered an image that nobody signed, or without its log."""
_FETCHING = frozenset({FirmwareStatus.DOWNLOADING.value, FirmwareStatus.DOWNLOADED.value})
EVIDENCE = (
    EventKind.CHARGER_BOOTED,
    EventKind.FIRMWARE_VERSION_READ,
    EventKind.FIRMWARE_STATUS_REPORTED,
    EventKind.SECURITY_EVENT_REPORTED,
)
"""The kinds of events that are asked for."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An image that a campaign sent a charger."""

    campaign_id: str
    version: str
    before: str | None
    """What it ran when it was sent; None: nobody knew."""
    sent_at: datetime
    request_id: int | None = None
    """What its words of the download bear; plain 1.6 bears none."""


@dataclass(frozen=True, slots=True)
class FallBack:
    """It came up with the image, did not stay so, and runs what it ran before."""

    campaign_id: str
    version: str
    to: str
    boots: int
    """Restarts that came up with the image."""
    at: datetime
    """When it came up with the former version."""

    @property
    def sentence(self) -> str:
        """What happened, for whoever reads why its update failed."""
        if self.boots == 1:
            return f"it came back once with {self.version}, and fell back to {self.to} by itself"
        what = f"boot loop: it came back {self.boots} times with {self.version}"
        return f"{what}, and fell back to {self.to} by itself"


@dataclass(frozen=True, slots=True)
class _Boot:
    at: datetime
    version: str | None
    restarted: bool
    serial: str | None


def fell_back(trial: Trial, events: Iterable[StoredEvent]) -> FallBack | None:
    """The fall back that a charger's events since it was sent an image show; None: they show none."""
    since = [one for one in events if one.received_at >= trial.sent_at]
    if trial.before in (None, trial.version) or any(_somebodys(one) for one in since):
        return None
    boots = _boots(since)
    ran = [boot.version for boot in boots]
    # A boot that did not tell what runs says nothing, and may be of either; the last one has to tell.
    if not ran or ran[-1] != trial.before or not set(ran) <= {trial.version, trial.before, None}:
        return None
    if len({boot.serial for boot in boots if boot.serial}) > 1:
        return None  # Another device answers for it.
    tried = [place for place, version in enumerate(ran) if version == trial.version]
    if not tried:
        return None  # It never came up with the image: there is nothing that it fell back from.
    first, last = boots[tried[0]], boots[tried[-1]]
    fell = next(boot for boot in boots[tried[-1] :] if boot.version == trial.before)
    if fell.at - first.at > WITHIN or any(
        _fetched(one, trial, first.at, last.at) for one in since if one.received_at < fell.at
    ):
        return None
    times = sum(boots[place].restarted for place in tried)
    return FallBack(trial.campaign_id, trial.version, ran[-1], max(1, times), fell.at)


def _somebodys(event: StoredEvent) -> bool:
    return event.kind is EventKind.SECURITY_EVENT_REPORTED and event.body.get("type") in SOMEBODYS


def _fetched(event: StoredEvent, trial: Trial, first: datetime, last: datetime) -> bool:
    """Whether it fetched another image once it had come up with ours: then that one is what it runs.

    Words that bear no number may be late ones of our own download until its last boot with the image.
    """
    if event.kind is not EventKind.FIRMWARE_STATUS_REPORTED or event.body.get("status") not in _FETCHING:
        return False
    number = event.body.get("request_id")
    if number is None:
        return event.received_at > last
    return number != trial.request_id and event.received_at > first


def _boots(events: Sequence[StoredEvent]) -> list[_Boot]:
    """Every boot, in order, with the version that it told, or that was read after it."""
    found: list[_Boot] = []
    for event in sorted(events, key=lambda one: one.sequence):
        body = event.body
        if event.kind is EventKind.CHARGER_BOOTED:
            restarted = body.get("reason") not in NO_RESTART
            found.append(
                _Boot(event.received_at, body.get("firmware_version"), restarted, body.get("serial_number"))
            )
        elif event.kind is EventKind.FIRMWARE_VERSION_READ:
            of = datetime.fromisoformat(body["booted_at"])
            found = [replace(boot, version=body["version"]) if boot.at == of else boot for boot in found]
    return found
