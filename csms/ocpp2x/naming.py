"""Components and variables of the device model, written as one name.

``Component.Variable``, with ``[instance]`` behind either and ``(evse)`` or ``(evse,connector)`` behind
the component.
"""

import re
from collections.abc import Mapping
from typing import Any

from csms.errors import Unsupported
from csms.frames import Payload


def component(wire: Mapping[str, Any]) -> str:
    """``Name``, ``Name[instance]``, ``Name(evse)`` or ``Name(evse,connector)``."""
    name, evse = named(wire), wire.get("evse")
    if not evse:
        return name
    place = [evse["id"]] if evse.get("connectorId") is None else [evse["id"], evse["connectorId"]]
    return f"{name}({','.join(str(int(number)) for number in place)})"


def named(wire: Mapping[str, Any]) -> str:
    """A variable, or a component without its place."""
    instance = wire.get("instance")
    return f"{wire['name']}[{instance}]" if instance else str(wire["name"])


def variable(wire: Mapping[str, Any]) -> str:
    """The whole name of anything that has a ``component`` and a ``variable``."""
    return f"{component(wire['component'])}.{named(wire['variable'])}"


_NAME = re.compile(
    r"(?P<component>[^.\[\]()]+)(?:\[(?P<instance>[^\]]+)\])?(?:\((?P<evse>\d+)(?:,(?P<connector>\d+))?\))?"
    r"(?:\.(?P<variable>[^\[\]]+)(?:\[(?P<variable_instance>[^\]]+)\])?)?"
)


def to_wire(name: str) -> Payload:
    """The inverse of ``variable``. Raises Unsupported for a name that is none."""
    wire = to_wire_of_any(name)
    if "variable" not in wire:
        raise Unsupported("OCPP 2.x", f"a variable named {name!r}; write Component.Variable")
    return wire


def to_wire_of_any(name: str) -> Payload:
    """The same, where a component alone stands for all of its variables (B08)."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise Unsupported("OCPP 2.x", f"a component or variable named {name!r}")
    wire: Payload = {"component": _name(found["component"], found["instance"])}
    if found["evse"]:
        connector = int(found["connector"]) if found["connector"] else None
        wire["component"]["evse"] = place(int(found["evse"]), connector)
    if found["variable"]:
        wire["variable"] = _name(found["variable"], found["variable_instance"])
    return wire


def _name(name: str, instance: str | None) -> Payload:
    return {"name": name, "instance": instance} if instance else {"name": name}


def place(evse_id: int, connector_id: int | None) -> Payload:
    """EVSEType."""
    return {"id": evse_id} if connector_id is None else {"id": evse_id, "connectorId": connector_id}
