"""Trains of stored events, as the projections read them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from storage.codec import to_json
from storage.events import KIND_OF, Event, MeterSample, MeterValuesSampled, StoredEvent

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def meter(transaction_id: str | None, wh: float, evse: int = 1) -> MeterValuesSampled:
    """One reading of the energy register."""
    sample = MeterSample("Energy.Active.Import.Register", wh, "Wh")
    return MeterValuesSampled(evse, transaction_id, (sample,))


@dataclass
class Train:
    """Events of one charger, numbered as they come. Times are seconds after START."""

    charger_id: str = "CP-1"
    sequence: int = 0
    events: list[StoredEvent] = field(default_factory=list)

    def at(self, second: float, event: Event, *, observed: float | None = None) -> "Train":
        """An event that came in then; ``observed`` is the charger's own time, where it differs."""
        self.sequence += 1
        received = START + timedelta(seconds=second)
        seen = received if observed is None else START + timedelta(seconds=observed)
        self.events.append(
            StoredEvent(self.sequence, self.charger_id, KIND_OF[type(event)], to_json(event), seen, received)
        )
        return self
