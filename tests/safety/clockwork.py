"""Simulated time: an event loop whose clock jumps to the next thing that is due.

All of a campaign, the Temporal server's part of it, activities, sockets and chargers, runs on one such
loop. Nothing waits in real seconds, and the order of everything follows from the seed.
"""

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


class Stuck(Exception):
    """Nothing is due any more, and what was waited for has not happened."""


class _Jump(selectors.SelectSelector):
    """Instead of waiting for sockets it lets time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("Everybody waits for somebody.")
        self.now += max(0.0, timeout)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """One campaign's loop; ``time`` counts simulated seconds from 0."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self.unexpected: list[str] = []
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return self._jump.now

    def _note(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        self.unexpected.append(f"{context.get('message')}: {error!r}")

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """What others do in a thread is done here and now: a real thread would be late by hours."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            done.set_exception(error)
        return done

    def instant(self) -> datetime:
        """The simulated time of day."""
        return START + timedelta(seconds=self.time())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end of ``work``; whatever else still runs is dropped with the loop."""
        asyncio.set_event_loop(self)
        try:
            return self.run_until_complete(work)
        finally:
            self._drop()
            asyncio.set_event_loop(None)
            self.close()

    def _drop(self) -> None:
        """End what is left in order, so that nothing of it speaks up when it is collected."""
        self.set_exception_handler(lambda *_: None)
        for _ in range(5):
            left = asyncio.all_tasks(self)
            if not left:
                return
            for task in left:
                task.cancel()
            self.run_until_complete(asyncio.wait(left, timeout=0.001))
