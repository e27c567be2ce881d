"""Time, handed in. Nothing outside the rim asks the machine for the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

Clock = Callable[[], datetime]
"""Returns the current instant, always aware, in UTC."""


def system_clock() -> datetime:
    """The machine's clock; only ``api.bootstrap`` hands it out."""
    return datetime.now(UTC)


steady_clock: Callable[[], float] = partial(
    time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
)
"""Seconds that only grow, also while the machine sleeps: what was granted for a time runs out meanwhile."""
