"""Sampled values, which 1.6 and 2.x spell almost alike."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from storage.events import MeterSample

ENERGY = "Energy.Active.Import.Register"
"""The measurand that a sample has when it names none, in 1.6 and in 2.x."""

_WH = {None: 1.0, "Wh": 1.0, "kWh": 1000.0}


def samples(sampled: Sequence[Mapping[str, Any]]) -> tuple[MeterSample, ...]:
    """The readable numbers of one meter value; signed blobs and empty strings are left to the journal."""
    return tuple(_readable(sampled))


def _readable(sampled: Sequence[Mapping[str, Any]]) -> Iterator[MeterSample]:
    for entry in sampled:
        value = _number(entry.get("value"))
        if value is not None:
            measurand, phase = entry.get("measurand", ENERGY), entry.get("phase")
            yield MeterSample(measurand, value, _unit(entry), phase)


def _number(value: object) -> float | None:
    # 1.6 sends numbers as strings, SignedData among them; 2.x sends numbers.
    try:
        number = float(value)  # type: ignore[arg-type]  # anything may stand there; the except clause judges
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def is_number(value: object) -> bool:
    """Whether a sample of this value can be read, whatever type its version wants it to have."""
    return not isinstance(value, bool) and _number(value) is not None


def _unit(entry: Mapping[str, Any]) -> str | None:
    if "unitOfMeasure" in entry:
        unit = entry["unitOfMeasure"]
        # 2.x: value times ten to the multiplier; a unit that says so keeps the number as it came.
        scale = unit.get("multiplier", 0)
        name = unit.get("unit", "Wh")
        return f"{name}*10^{scale}" if scale else name
    unit = entry.get("unit")
    return unit if isinstance(unit, str) else None


def register_wh(found: Sequence[MeterSample]) -> float | None:
    """The latest energy register of the whole connector, in Wh, or None if the samples do not hold it."""
    for sample in reversed(found):
        if sample.measurand == ENERGY and sample.phase is None and sample.unit in _WH:
            register = sample.value * _WH[sample.unit]
            # A number can be finite in kWh and not in Wh; JSON, and so the store, has none of those.
            if math.isfinite(register):
                return register
    return None
