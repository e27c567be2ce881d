"""What a charger's meters say, folded into latest values and one sum (F7). Bounded whatever it sends."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from csms.meters import register_wh
from storage.events import MeterValuesSampled, MonitoredEventReported, StoredEvent
from storage.service import Metering, Reading, Register

KEPT = frozenset({"Power.Active.Import", "Current.Import", "Voltage", "Temperature", "SoC"})
"""Measurands whose latest value is kept; the others are in the events."""
JUMP_WH = 1_000_000.0
"""A register that rises by more from one reading to the next was exchanged or tells nonsense."""
MOST_W, MOST_BURST_WH = 4_000_000.0, 100_000.0
"""Power of the largest chargers, and what a reading may be late by: a register that rises faster dropped out
to zero for a while, as some do, and came back."""
PUT_BACK = timedelta(days=1)
"""Nothing newer for so long by a charger's clock: the clock was put back, and its readings are news again."""
_MOST_EVSES, _MOST_READINGS = 100, 400
_COLDEST, _HOTTEST = -60.0, 200.0
"""Degrees Celsius; what is outside was no temperature."""
_SCALES: dict[str | None, tuple[float, float]] = {
    None: (1.0, 0.0),
    "Celsius": (1.0, 0.0),
    "Celcius": (1.0, 0.0),  # as OCPP 1.6 spells it in its first edition
    "C": (1.0, 0.0),
    "Fahrenheit": (1 / 1.8, -32.0 / 1.8),
    "F": (1 / 1.8, -32.0 / 1.8),
    "K": (1.0, -273.15),
}
"""Factor and offset that make degrees Celsius of a unit."""


def at_of(event: StoredEvent) -> datetime:
    """When it was read, by the charger's clock, never in our future."""
    return min(event.observed_at, event.received_at)


def with_register(
    known: Metering, evse_id: int, register: float, event: StoredEvent
) -> tuple[Metering, float]:
    """The metering with one reading of a register, and what was delivered since the one before.

    A reading that came late and is older than the known one adds nothing; one below it begins anew.
    """
    key, at = str(evse_id), at_of(event)
    before = known.registers.get(key)
    if (before is None and len(known.registers) >= _MOST_EVSES) or _late(before, event):
        return known, 0.0
    delivered = _delivered(before, register, event) if before is not None else 0.0
    latest = Register(register, at, event.received_at)
    after = replace(
        known,
        registers={**known.registers, key: latest},
        delivered_wh=known.delivered_wh + delivered,
        since=known.since or event.received_at,
    )
    return after, delivered


def _late(before: Register | Reading | None, event: StoredEvent) -> bool:
    """Whether it was queued and is older than what is known. None comes so for long: a clock was put back."""
    if before is None or at_of(event) >= before.at:
        return False
    return event.received_at - before.received_at < PUT_BACK


def _delivered(before: Register, register: float, event: StoredEvent) -> float:
    # Of readings that were queued, only the charger's clock says how far they are apart.
    apart = max(at_of(event) - before.at, event.received_at - before.received_at).total_seconds()
    most = min(JUMP_WH, MOST_BURST_WH + MOST_W * apart / 3600.0)
    rise = register - before.wh
    return rise if 0.0 < rise <= most else 0.0


def metered(known: Metering, told: MeterValuesSampled, event: StoredEvent) -> tuple[float | None, Metering]:
    """The register among these samples, and the metering with the other latest values."""
    readings, at = dict(known.readings), at_of(event)
    for sample in told.samples:
        name = f"{told.evse_id}/{sample.measurand}" + (f"/{sample.phase}" if sample.phase else "")
        before = readings.get(name)
        new = before is None and len(readings) >= _MOST_READINGS
        if sample.measurand not in KEPT or new or _late(before, event):
            continue
        readings[name] = Reading(sample.value, sample.unit or "", at, event.received_at)
    after = known
    if readings != known.readings:
        after = replace(known, readings=readings, since=known.since or event.received_at)
    return register_wh(told.samples), after


def temperatures(told: MeterValuesSampled | MonitoredEventReported) -> Iterator[float]:
    """In degrees Celsius: sampled with the meter values, or told by a monitor of a 2.x charger (F94)."""
    values: list[tuple[float | None, str | None]]
    if isinstance(told, MonitoredEventReported):
        warm = told.variable == "Temperature" and not told.cleared
        values = [(_number(told.actual_value), None)] if warm else []
    else:
        values = [(each.value, each.unit) for each in told.samples if each.measurand == "Temperature"]
    for value, unit in values:
        if value is None or unit not in _SCALES:
            continue
        factor, offset = _SCALES[unit]
        if _COLDEST <= (degrees := value * factor + offset) <= _HOTTEST:
            yield degrees


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
