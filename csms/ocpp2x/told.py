"""Reads back what a SetVariables of ours set (OCPP 2.0.1 B05). Pure."""

from collections.abc import Mapping

from csms.frames import Payload
from csms.ocpp2x import naming


def values_set(action: str, payload: Payload) -> Mapping[str, str]:
    """Name of a variable -> its value, where it was the actual one (B05.FR.01)."""
    if action != "SetVariables":
        return {}
    return {
        naming.variable(entry): entry["attributeValue"]
        for entry in payload["setVariableData"]
        if entry.get("attributeType", "Actual") == "Actual"
    }
