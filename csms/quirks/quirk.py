"""What a quirk is, and how quirks are applied between the dialect and the canonical event."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from csms.dialect import Observed
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.timestamps import TimeFix
from storage.events import MeterValuesSampled, TransactionEnded, TransactionStarted

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


class Adaptation:
    """The quirks of one session at work; remembers which sessions began on this socket."""

    def __init__(self, quirks: Iterable[Quirk]) -> None:
        known = tuple(quirks)
        self.time_fixes: tuple[TimeFix, ...] = tuple(fix for quirk in known for fix in quirk.time_fixes)
        """All time forms that this charger is known to send."""
        self._placeholders = frozenset[str]().union(*(quirk.placeholder_transactions for quirk in known))
        self._clock_unset_before = max(
            (quirk.clock_unset_before or _NEVER for quirk in known), default=_NEVER
        )
        self._open: list[str] = []

    def apply(self, observed: tuple[Observed, ...]) -> tuple[Observed, ...]:
        """The same facts as a charger without these quirks would have told them."""
        return tuple(map(self._adapt, observed))

    def _adapt(self, seen: Observed) -> Observed:
        if seen.at is not None and seen.at < self._clock_unset_before:
            seen = replace(seen, at=None)
        event = seen.event
        if isinstance(event, TransactionStarted):
            if self._placeholders and event.transaction_id not in self._open:
                self._open.append(event.transaction_id)
        elif isinstance(event, MeterValuesSampled) and event.transaction_id in self._placeholders:
            return replace(seen, event=replace(event, transaction_id=None))
        elif isinstance(event, TransactionEnded):
            return replace(seen, event=self._ended(event))
        return seen

    def _ended(self, event: TransactionEnded) -> TransactionEnded:
        # Which session is meant is certain only if one alone is open.
        if event.transaction_id in self._placeholders and len(self._open) == 1:
            event = replace(event, transaction_id=self._open[0])
        if event.transaction_id in self._open:
            self._open.remove(event.transaction_id)
        return event
