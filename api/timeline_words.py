"""A charger's timeline for people: heartbeats in one line, and readings in words. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from storage.events import EventKind

T = TypeVar("T")
_MOST_READINGS = 4
_MEASURANDS = {
    "Energy.Active.Import.Register": "meter",
    "Power.Active.Import": "power",
    "Current.Import": "current",
    "Current.Offered": "current offered",
    "SoC": "state of charge",
}


def folded(entries: Iterable[T], kind: Callable[[T], str], limit: int) -> list[tuple[T, int]]:
    """At most ``limit`` entries, newest first; the newest heartbeat stands for all, with their number.

    Stops reading where the limit is reached: beats before it are not counted.
    """
    kept: list[T] = []
    beats, place = 0, None
    for entry in entries:
        if kind(entry) == EventKind.HEARTBEAT_RECEIVED:
            beats += 1
            if place is not None:
                continue
            place = len(kept)
        if len(kept) >= limit:
            break
        kept.append(entry)
    return [(entry, beats if at == place else 1) for at, entry in enumerate(kept)]


def readings(body: Mapping[str, Any]) -> str:
    """What a meter said: ``EVSE 1: meter 12345 Wh, power 7200 W``."""
    samples: Sequence[Mapping[str, Any]] = body.get("samples") or ()
    told = [_reading(sample) for sample in samples[:_MOST_READINGS]]
    if len(samples) > _MOST_READINGS:
        told.append(f"{len(samples) - _MOST_READINGS} more")
    where = f"EVSE {body['evse_id']}" if body.get("evse_id") else "main meter"
    session = f"; session {body['transaction_id']}" if body.get("transaction_id") else ""
    return f"{where}: {', '.join(told) or 'nothing'}{session}"


def _reading(sample: Mapping[str, Any]) -> str:
    measurand = str(sample.get("measurand") or "")
    name = _MEASURANDS.get(measurand) or measurand.replace(".", " ").lower()
    value, phase = sample.get("value"), sample.get("phase")
    number = f"{value:.10g}" if isinstance(value, int | float) else str(value)
    unit = sample.get("unit") or ("Wh" if measurand.startswith("Energy") else "")
    return " ".join(part for part in (name, str(phase or ""), number, str(unit)) if part)
