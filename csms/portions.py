"""Long lists as several calls: how much a charger takes in one message is its own word. Pure.

OCPP 2.0.1 B05.FR.11, B06.FR.05, B08.FR.06, N04.FR.09: what it says is never exceeded. 1.6 has
GetConfigurationMaxKeys. What the operator or the brand declared goes before what the charger told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from csms.capabilities import MAX_KEYS_16, whole
from csms.commands import Command, GetVariables, SetVariables
from csms.frames import OCPP16
from csms.monitoring import ClearVariableMonitoring, GetReport, SetVariableMonitoring
from storage.capability import Declared
from storage.errors import InvalidInput

_LISTS: dict[type[Any], tuple[str, str]] = {
    GetVariables: ("names", "DeviceDataCtrlr"),
    SetVariables: ("values", "DeviceDataCtrlr"),
    GetReport: ("names", "DeviceDataCtrlr"),
    SetVariableMonitoring: ("settings", "MonitoringCtrlr"),
    ClearVariableMonitoring: ("monitor_ids", "MonitoringCtrlr"),
}
"""The commands that are lists: the field, and the component whose variables say how long it may be."""

_TOO_MUCH = frozenset(
    # B06.FR.16 and FR.17; 1.6 and one widely used library spell the first with one r.
    {"OccurrenceConstraintViolation", "OccurenceConstraintViolation", "FormatViolation", "FormationViolation"}
)


LEAST_BYTES = 512
"""A charger that says it takes less than one question is not believed: it could never correct that."""


@dataclass(frozen=True, slots=True)
class Room:
    """What fits into one message; None: nobody said."""

    items: int | None = None
    message_bytes: int | None = None


def is_list(command: Command) -> bool:
    """Whether this command can be split at all."""
    return type(command) in _LISTS and bool(_items(command))


def room_for(command: Command, dialect: str | None, values: Mapping[str, str], declared: Declared) -> Room:
    """How much of this command fits into one message of this charger; ``values``: what it told."""
    items = {GetVariables: declared.items_per_get, SetVariables: declared.items_per_set}.get(type(command))
    if dialect == OCPP16:
        told = values.get(MAX_KEYS_16) if isinstance(command, GetVariables) else None
        return Room(items or whole(told), declared.bytes_per_message)
    _, component = _LISTS[type(command)]
    action = type(command).__name__
    told_bytes = whole(values.get(f"{component}.BytesPerMessage[{action}]"))
    if told_bytes is not None and told_bytes < LEAST_BYTES:
        told_bytes = None
    told_items = whole(values.get(f"{component}.ItemsPerMessage[{action}]"))
    return Room(items or told_items, declared.bytes_per_message or told_bytes)


def portions(command: Command, room: Room, size: Callable[[Command], int]) -> list[Command]:
    """The command as commands that each fit, in order; ``size`` is the whole message of one, in bytes.

    Raises InvalidInput where a single item is too long already: then nothing of it is to be sent.
    """
    everything = _items(command)
    step = room.items or len(everything)
    found: list[Command] = []
    for start in range(0, len(everything), step):
        found += _fitting(_with(command, everything[start : start + step]), room, size)
    return found


def _fitting(command: Command, room: Room, size: Callable[[Command], int]) -> list[Command]:
    if room.message_bytes is None or (length := size(command)) <= room.message_bytes:
        return [command]
    both = halves(command)
    if not both:
        raise InvalidInput(
            f"One item of {type(command).__name__} alone makes a message of {length} bytes;"
            f" the charger takes {room.message_bytes}.",
            hint="Shorten the value; nothing was sent.",
        )
    return [part for half in both for part in _fitting(half, room, size)]


def halves(command: Command) -> tuple[Command, ...]:
    """Two commands that are this one together; nothing where it is no list, or of one item."""
    if not is_list(command) or len(_items(command)) == 1:
        return ()
    everything = _items(command)
    middle = len(everything) // 2
    return _with(command, everything[:middle]), _with(command, everything[middle:])


def smaller(command: Command, code: str) -> tuple[Command, ...]:
    """What to send instead of a reading that was too much for a charger which had not said how much it takes.

    Only a reading: what else was refused in part, nobody knows.
    """
    return halves(command) if isinstance(command, GetVariables) and code in _TOO_MUCH else ()


def _items(command: Any) -> Sequence[Any]:
    field, _ = _LISTS[type(command)]
    return tuple(getattr(command, field))


def _with(command: Any, items: Sequence[Any]) -> Command:
    field, _ = _LISTS[type(command)]
    changed: Command = replace(command, **{field: tuple(items)})
    return changed
