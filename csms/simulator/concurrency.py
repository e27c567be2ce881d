"""Small helpers around tasks."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

Work = Coroutine[Any, Any, None]


async def race(*works: Work) -> None:
    """Run all until the first ends, cancel the others, and raise what the first raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(*tasks)
    for task in done:
        task.result()


async def cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait until they are gone; what they raised stays with them."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def wait_for_event(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether the event came within the time."""
    # Not asyncio.wait_for: before Python 3.12 it can swallow a cancellation.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    return event.is_set()
