"""Cancellation as a request: a workflow that was cancelled starts nothing new and still ends in order."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

R = TypeVar("R")


async def to_the_end(work: Coroutine[Any, Any, R], on_cancel: Callable[[], None]) -> R:
    """Run ``work`` to its end; a cancellation of the workflow calls ``on_cancel`` instead of cutting it."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.done():
            raise
        on_cancel()
        return await task
