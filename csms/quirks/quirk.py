"""What a quirk is, and how quirks are applied between the dialect and the canonical event."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase

from csms.dialect import Observed
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.timestamps import TimeFix
from storage.events import MeterValuesSampled, TransactionEnded, TransactionStarted

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
    placeholder_transactions: frozenset[str] = frozenset()
    """Transaction ids that mean: I do not know it."""


def matching(
    quirks: Iterable[Quirk], dialect: str, vendor: str, model: str, firmware: str | None
) -> tuple[Quirk, ...]:
    """The quirks of one charger as far as it is known."""
    return tuple(
        quirk
        for quirk in quirks
        if dialect in quirk.dialects
        and fnmatchcase(vendor, quirk.vendor)
        and fnmatchcase(model, quirk.model)
        and fnmatchcase(firmware or "", quirk.firmware)
    )


@dataclass(slots=True)
class Adaptation:
    """The quirks of one session at work; remembers which sessions began on this socket."""

    quirks: tuple[Quirk, ...]
    _open: list[str] = field(default_factory=list)

    @property
    def time_fixes(self) -> tuple[TimeFix, ...]:
        """All time forms that these chargers are known to send."""
        return tuple(fix for quirk in self.quirks for fix in quirk.time_fixes)

    def apply(self, observed: tuple[Observed, ...]) -> tuple[Observed, ...]:
        """The same facts as a charger without these quirks would have told them."""
        return tuple(map(self._adapt, observed))

    def _adapt(self, seen: Observed) -> Observed:
        if any(
            quirk.clock_unset_before and seen.at and seen.at < quirk.clock_unset_before
            for quirk in self.quirks
        ):
            seen = replace(seen, at=None)
        event = seen.event
        if isinstance(event, TransactionStarted):
            self._open.append(event.transaction_id)
        elif isinstance(event, MeterValuesSampled) and self._unknown(event.transaction_id):
            return replace(seen, event=replace(event, transaction_id=None))
        elif isinstance(event, TransactionEnded):
            return replace(seen, event=self._ended(event))
        return seen

    def _ended(self, event: TransactionEnded) -> TransactionEnded:
        # Which session is meant is certain only if one alone is open.
        if self._unknown(event.transaction_id) and len(self._open) == 1:
            event = replace(event, transaction_id=self._open[0])
        if event.transaction_id in self._open:
            self._open.remove(event.transaction_id)
        return event

    def _unknown(self, transaction_id: str | None) -> bool:
        return any(transaction_id in quirk.placeholder_transactions for quirk in self.quirks)
