"""How late a node's event loop is."""

import asyncio
import time

from csms.loop_watch import BEAT_S, SPAN_S, LoopWatch


def test_the_worst_of_the_last_seconds_counts() -> None:
    shown: list[float] = []
    watch = LoopWatch(shown.append)
    assert watch.worst() == 0.0
    for at, late in ((1.0, 0.01), (2.0, 3.0), (3.0, -0.1), (2.0 + SPAN_S, 0.2)):
        watch.note(at, late)
    assert watch.worst() == 3.0
    watch.note(2.1 + SPAN_S, 0.1)
    assert watch.worst() == 0.2, "the stall is over, and long enough ago"
    assert shown == [0.01, 3.0, 3.0, 3.0, 0.2]


async def test_a_loop_that_was_blocked_is_seen() -> None:
    seen = asyncio.Event()
    watch = LoopWatch(lambda late: seen.set() if late > 0.3 else None)
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(0)
    time.sleep(BEAT_S + 0.5)  # noqa: ASYNC251 - it is what is to be noticed
    await seen.wait()
    running.cancel()
    assert watch.worst() > 0.3
