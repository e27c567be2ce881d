"""Waiting for what other processes do: they cannot set an event of ours, so we look."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], bool], limit_s: float = float("inf"), pause_s: float = 0.02) -> bool:
    """Wait until the condition holds; False if it did not within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(pause_s)
    return True
