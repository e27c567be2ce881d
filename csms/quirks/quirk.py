"""What a quirk is, and how quirks are applied between the dialect and the canonical event."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from csms.dialect import Observed
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.timestamps import TimeFix
from storage.capability import Declared
from storage.events import (
    RECONNECTED,
    ChargerBooted,
    Event,
    FirmwareStatus,
    FirmwareStatusReported,
    MeterValuesSampled,
    TransactionEnded,
    TransactionStarted,
)

_NEVER = datetime.min.replace(tzinfo=UTC)
ALL_DIALECTS = (OCPP16, OCPP201, OCPP21)


@dataclass(frozen=True, slots=True)
class Quirk:
    """One deviation. It holds for chargers whose vendor, model and firmware match the patterns (``*``)."""

    name: str
    evidence: str
    """Where it was seen: a link, and one sentence."""
    frame: str
    """A frame that shows it: as recorded or published there, or built from what is described there."""
    vendor: str = "*"
    model: str = "*"
    firmware: str = "*"
    dialects: tuple[str, ...] = ALL_DIALECTS
    time_fixes: tuple[TimeFix, ...] = ()
    clock_unset_before: datetime | None = None
    """Times before this instant mean: the clock was not set yet."""
    untimed: tuple[type[Event], ...] = ()
    """Kinds of events whose own time is wrong: the time of receipt counts."""
    placeholder_transactions: frozenset[str] = frozenset()
    """Transaction ids that mean: I do not know it."""
    placeholder_requests: frozenset[int] = frozenset()
    """Request ids of firmware statuses that mean: I do not know it."""
    repeats_installed: bool = False
    """It says Installed again for what it said before."""
    boots_on_connect: bool = False
    """BootNotification on every socket: with the version that ran before, it proves no restart."""
    version_form: re.Pattern[str] | None = None
    """Its first group is the version as releases are named; the charger says more around it."""
    declared: Declared = field(default=Declared())
    """What its firmware can and cannot do."""

    def holds(self, dialect: str, vendor: str, model: str, firmware: str | None) -> bool:
        """Whether a charger has it, as far as the charger is known."""
        return (
            dialect in self.dialects
            and fnmatchcase(vendor, self.vendor)
            and fnmatchcase(model, self.model)
            and fnmatchcase(firmware or "", self.firmware)
        )


def matching(
    quirks: Iterable[Quirk], dialect: str, vendor: str, model: str, firmware: str | None
) -> tuple[Quirk, ...]:
    """The quirks of one charger as far as it is known."""
    return tuple(quirk for quirk in quirks if quirk.holds(dialect, vendor, model, firmware))


def of_brand(quirks: Iterable[Quirk], vendor: str, model: str) -> tuple[Quirk, ...]:
    """Those that were seen of this brand, with any firmware; not those that every charger may have."""
    return tuple(
        quirk
        for quirk in quirks
        if quirk.vendor != "*" and fnmatchcase(vendor, quirk.vendor) and fnmatchcase(model, quirk.model)
    )


def declared(quirks: Sequence[Quirk]) -> Declared:
    """What these quirks say together; the first that speaks of a thing decides it."""
    said = Declared()
    for quirk in quirks:
        said = said.over(quirk.declared)
    return said


class Adaptation:
    """The quirks of one session at work; remembers which sessions began on this socket."""

    def __init__(self, quirks: Iterable[Quirk], version: str | None = None) -> None:
        self._version = version
        self._open: list[str] = []
        self._installed: FirmwareStatusReported | None = None
        self._among: tuple[Quirk, ...] = ()
        self._dialect = ""
        self._take(tuple(quirks))

    @classmethod
    def of(
        cls, catalogue: Sequence[Quirk], dialect: str, vendor: str, model: str, version: str | None
    ) -> "Adaptation":
        """Of a charger as it was registered and last booted; what it says at its next boot is looked up."""
        adaptation = cls(matching(catalogue, dialect, vendor, model, version), version)
        adaptation._among, adaptation._dialect = tuple(catalogue), dialect
        return adaptation

    def _take(self, quirks: tuple[Quirk, ...]) -> None:
        self.quirks = quirks
        self.time_fixes: tuple[TimeFix, ...] = tuple(fix for quirk in quirks for fix in quirk.time_fixes)
        """All time forms that this charger is known to send."""
        self._placeholders = frozenset[str]().union(*(quirk.placeholder_transactions for quirk in quirks))
        self._requests = frozenset[int]().union(*(quirk.placeholder_requests for quirk in quirks))
        self._clock_unset_before = max(
            (quirk.clock_unset_before or _NEVER for quirk in quirks), default=_NEVER
        )
        self._untimed = tuple(kind for quirk in quirks for kind in quirk.untimed)
        self._repeats_installed = any(quirk.repeats_installed for quirk in quirks)
        self._boots_on_connect = any(quirk.boots_on_connect for quirk in quirks)
        self._version_forms = tuple(quirk.version_form for quirk in quirks if quirk.version_form)

    def apply(self, observed: tuple[Observed, ...]) -> tuple[Observed, ...]:
        """The same facts as a charger without these quirks would have told them."""
        return tuple(adapted for seen in observed if (adapted := self._adapt(seen)) is not None)

    def _adapt(self, seen: Observed) -> Observed | None:
        event = seen.event
        if seen.at is not None and (seen.at < self._clock_unset_before or isinstance(event, self._untimed)):
            seen = replace(seen, at=None)
        match event:
            case TransactionStarted():
                self._began(event)
            case MeterValuesSampled() if event.transaction_id in self._placeholders:
                return replace(seen, event=replace(event, transaction_id=None))
            case TransactionEnded():
                return replace(seen, event=self._ended(event))
            case ChargerBooted():
                return replace(seen, event=self._booted(event))
            case FirmwareStatusReported():
                return self._firmware_status(seen, event)
        return seen

    def _began(self, event: TransactionStarted) -> None:
        if self._placeholders and event.transaction_id not in self._open:
            self._open.append(event.transaction_id)

    def _ended(self, event: TransactionEnded) -> TransactionEnded:
        # Which session is meant is certain only if one alone is open.
        if event.transaction_id in self._placeholders and len(self._open) == 1:
            event = replace(event, transaction_id=self._open[0])
        if event.transaction_id in self._open:
            self._open.remove(event.transaction_id)
        return event

    def _booted(self, event: ChargerBooted) -> ChargerBooted:
        if self._among:
            # The firmware that speaks now may have other quirks than the one of the last boot.
            said = (event.vendor, event.model, event.firmware_version)
            self._take(matching(self._among, self._dialect, *said))
        version = self.plain_version(event.firmware_version)
        same = version is not None and version == self._version
        self._version, self._installed = version, None
        reason = RECONNECTED if self._boots_on_connect and same and event.reason is None else event.reason
        return replace(event, firmware_version=version, reason=reason)

    def plain_version(self, version: str | None) -> str | None:
        """A version as releases are named; None where the charger told none, or an empty one."""
        for form in self._version_forms:
            found = form.fullmatch(version or "")
            if found:
                return found[1]
        return version or None

    def _firmware_status(self, seen: Observed, event: FirmwareStatusReported) -> Observed | None:
        if event.request_id in self._requests:
            event = replace(event, request_id=None)
        repeated = self._repeats_installed and event == self._installed
        # Anything else in between makes a later Installed one of another update.
        self._installed = event if event.status is FirmwareStatus.INSTALLED else None
        return None if repeated else replace(seen, event=event)
