"""What is not said is left out: OCPP has no null."""

from typing import Any

from csms.frames import Payload


def said(**fields: Any) -> Payload:
    """A payload without what is None."""
    return {name: value for name, value in fields.items() if value is not None}
