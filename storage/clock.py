"""Time, handed in. Nothing outside the rim asks the machine for the time."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current instant, always aware, in UTC."""


def system_clock() -> datetime:
    """The machine's clock; only ``api.bootstrap`` hands it out."""
    return datetime.now(UTC)
