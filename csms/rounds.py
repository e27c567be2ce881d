"""The rounds over a node's sockets: who was quiet is pinged, who stays quiet is cut off.

One wheel for all of them: a task and two timers for each idle socket cost a third of a node that holds a
large fleet. A socket that was heard within the interval needs no ping, for any byte is a sign of life.
"""

import asyncio
from typing import Protocol

import structlog

from csms.wheel import Wheel

log = structlog.get_logger(__name__)

_TICK_S = 0.1
_AT_ONCE = 50
"""Sockets between two turns of the event loop: about a millisecond of it."""
_LATE_S = 1.0
_READ_FOR_S = 5.0


class Looked(Protocol):
    """What the rounds need of a socket."""

    def look(self, now: float) -> float | None:
        """Do what is due; when to come back, or None: never."""


class Rounds:
    """Comes to each socket when something may be due there."""

    def __init__(self, interval_s: float) -> None:
        self._tick_s = min(_TICK_S, interval_s / 10)
        self._interval_s = interval_s
        self._wheel: Wheel[Looked] = Wheel(self._tick_s)

    def __len__(self) -> int:
        return len(self._wheel)

    def enter(self, one: Looked, now: float) -> None:
        """Come to it from now on; times are the event loop's."""
        self._wheel.put(one, now + self._interval_s)

    def leave(self, one: Looked) -> None:
        """It is gone."""
        self._wheel.remove(one)

    async def run(self) -> None:
        """For ever, a few sockets at a time: after a pause of this process all are due at once."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._tick_s
            await asyncio.sleep(self._tick_s)
            late_s = loop.time() - due
            if late_s > _LATE_S:
                # This process stood still: what came in meanwhile is read before anybody counts as silent.
                await asyncio.sleep(min(late_s, _READ_FOR_S))
            while self.walk(loop.time()) == _AT_ONCE:  # noqa: ASYNC110 - it goes on, it waits for nothing
                await asyncio.sleep(0)

    def walk(self, now: float) -> int:
        """Come to those that are due, as many as may be done at once; returns how many they were."""
        for done in range(_AT_ONCE):
            one = self._wheel.take(now)
            if one is None:
                return done
            again = self._look(one, now)
            if again is not None:
                self._wheel.put(one, again)
        return _AT_ONCE

    def _look(self, one: Looked, now: float) -> float | None:
        try:
            return one.look(now)
        except Exception:  # a broken socket must not end the rounds of all others
            log.exception("a socket could not be looked at")
            return now + self._interval_s
