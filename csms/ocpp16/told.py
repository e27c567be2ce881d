"""Reads back what a ChangeConfiguration of ours set (OCPP 1.6 5.3). Pure."""

from collections.abc import Mapping

from csms.frames import Payload


def values_set(action: str, payload: Payload) -> Mapping[str, str]:
    """Configuration key -> value."""
    return {payload["key"]: payload["value"]} if action == "ChangeConfiguration" else {}
