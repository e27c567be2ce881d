"""What a strict schema refuses and a fleet needs all the same: flaws that leave the meaning whole.

A refusal (CALLERROR) costs the charger more than the flaw is worth: it never gets past its boot, or
repeats one message for ever and the rest of its queue behind it. So these are read around, answered as
the message is answered, and recorded. Seen in the field: serial numbers over their length (Schneider
EVlink, lbbrhzn/ocpp#213), texts over theirs (#987), units of their own such as ``Hz`` (ChargeAmps, #1576),
numbers where 1.6 wants strings (OpenEVSE, #210), an object for a list of one (Huawei, #1144), empty
readings (#466), error codes of their own (Legrand, #1248), an empty report for nothing
(ocpp-virtual-charge-point). Anything else is refused as the standard says.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from csms import schemas
from csms.frames import Payload
from csms.meters import is_number
from csms.schemas import Flaw

LONGEST = 600
"""Characters that are kept of a string over its length: an id of so many still fits an index of PostgreSQL,
2,700 bytes an entry."""
_TEXT = 1000
"""What may be longer by the standard is no text: a CSR, a report."""
_ROUNDS = 4
"""Taking out a sample may leave an empty reading, and that an empty list."""
_READINGS = ("meterValue", "transactionData")
"""Lists of meter values: MeterValues and TransactionEvent; 1.6 StopTransaction."""
_REPEATED = frozenset({"GetCertificateChainStatus"})
"""Our answer repeats what was asked, so a text over its length there would be over it in the answer."""

_Path = tuple[str | int, ...]


@dataclass(slots=True)
class Mended:
    """A payload that can be read, and what had to be overlooked for it."""

    payload: Payload
    notes: dict[str, None] = field(default_factory=dict)
    """Rules and places, without list positions, in order; never a value."""


def mend(dialect: str, action: str, payload: Payload) -> Mended | None:
    """The payload without what cannot be read in it, or None if what is wrong matters."""
    mended = Mended(orjson.loads(orjson.dumps(payload)))
    _listed(mended)
    for _ in range(_ROUNDS):
        dropped: set[_Path] = set()
        for flaw in schemas.flaws(dialect, action, mended.payload):
            drop = _overlooked(action, flaw, mended.payload)
            if drop is None:
                return None
            dropped.update(drop)
            mended.notes[f"{flaw.rule} at {_place(flaw.path)}"] = None
        if not dropped:
            return mended
        # The last of a list first, so that those before it keep their places.
        for path in sorted(dropped, key=lambda path: [(isinstance(step, str), step) for step in path])[::-1]:
            _take_out(mended.payload, path)
    return None


def _listed(mended: Mended) -> None:
    for name in _READINGS:
        if isinstance(mended.payload.get(name), dict):
            mended.payload[name] = [mended.payload[name]]
            mended.notes[f"type at /{name}"] = None


def _overlooked(action: str, flaw: Flaw, payload: Payload) -> list[_Path] | None:
    """What to take out for this flaw, nothing if it can be read as it is; None: it cannot be overlooked."""
    path, value = flaw.path, _at(payload, flaw.path)
    if flaw.rule == "maxLength" and flaw.limit <= _TEXT and action not in _REPEATED:
        _shorten(payload, path, max(LONGEST, flaw.limit))
        return []
    if path and path[0] in _READINGS:
        if flaw.rule == "additionalProperties" and flaw.unexpected:
            return [(*path, name) for name in flaw.unexpected]
        return _overlooked_reading(flaw, value)
    if flaw.rule == "minItems" and len(path) == 1 and not value:
        return [path]  # where a list is required, the next round finds it missing, and that is refused
    if (action, path, flaw.rule) == ("StatusNotification", ("errorCode",), "enum") and isinstance(value, str):
        return []
    return None


def _overlooked_reading(flaw: Flaw, value: Any) -> list[_Path] | None:
    path = flaw.path
    if len(path) > 3 and path[2] == "sampledValue":
        own_word = flaw.rule == "enum" and isinstance(value, str)
        other_type = flaw.rule == "type" and path[-1] == "value" and is_number(value)
        return [] if own_word or other_type else [path[:4]]
    if len(path) > 1:
        return [path[:2]]
    return [] if flaw.rule == "minItems" else None


def _shorten(payload: Payload, path: _Path, longest: int) -> None:
    text = _at(payload, path)
    if path and len(text) > longest:
        _at(payload, path[:-1])[path[-1]] = text[:longest]


def _at(value: Any, path: _Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _take_out(payload: Payload, path: _Path) -> None:
    """Unless what it stood in is gone already."""
    try:
        del _at(payload, path[:-1])[path[-1]]
    except (KeyError, IndexError, TypeError):
        return


def _place(path: _Path) -> str:
    return "/" + "/".join("*" if isinstance(step, int) else step for step in path)
