"""Processes that die between any two steps, and ports through which everything they do goes.

A killed process does nothing more: its next step never returns, so no ``except`` and no ``finally`` of its
code is seen by anybody, as with ``kill -9``. A frozen one goes on later, when others believe it gone.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from csms.loop_watch import SPAN_S
from storage.errors import EngineUnavailable

_FREE = frozenset({"clock"})
_LATER = frozenset({"listened"})
"""Added later: these take no time and throw no dice, so that seeds keep the course that they had."""


@dataclass(slots=True)
class Trouble:
    """What may go wrong at a step, and how often it did."""

    rng: random.Random
    count: Callable[[str], None]
    refuse: float = 0.0
    """PostgreSQL is away: nothing happened."""
    lose_reply: float = 0.0
    """It happened, but the answer never came."""
    slow: float = 0.0
    """A step takes seconds."""
    away_until: float = 0.0
    """PostgreSQL answers nobody before this instant."""


@dataclass(slots=True)
class Process:
    """One process; ``boot`` tells its lives apart."""

    name: str
    alive: bool = True
    boot: int = 1
    frozen_until: float = 0.0
    frozen_for: float = 0.0
    on_death: list[Callable[[], None]] = field(default_factory=list)
    died: asyncio.Event = field(default_factory=asyncio.Event)
    graves: "list[asyncio.Future[None]]" = field(default_factory=list)
    """What will never go on; held, or it would be collected and end in order after all."""

    def freeze(self, at: float, seconds: float) -> None:
        """It does nothing for so long."""
        self.frozen_until, self.frozen_for = at + seconds, seconds

    def late(self, at: float) -> float:
        """How late its loop was within the last seconds, as it would see it."""
        thawed = self.frozen_until <= at < self.frozen_until + SPAN_S
        return self.frozen_for if thawed else 0.0

    def kill(self) -> None:
        """Now, wherever it is."""
        if self.alive:
            self.alive = False
            self.died.set()
            for tell in list(self.on_death):
                tell()

    def rise(self) -> "Process":
        """The next life of it: another process under the same name."""
        return Process(self.name, boot=self.boot + 1, graves=self.graves)

    async def go_on(self) -> None:
        """Return if this process may do another thing, never if it is dead."""
        loop = asyncio.get_running_loop()
        while self.alive and self.frozen_until > loop.time():  # noqa: ASYNC110 - it is simulated time
            await asyncio.sleep(self.frozen_until - loop.time())
        if not self.alive:
            end: asyncio.Future[None] = loop.create_future()
            self.graves.append(end)
            await end


class Port:
    """A port as one process sees it: every call takes time, may fail, and ends with the process."""

    def __init__(self, target: Any, process: Process, trouble: Trouble) -> None:
        self._target = target
        self._process = process
        self._trouble = trouble
        self._steps: dict[str, Callable[..., Any]] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self._steps:
            self._steps[name] = self._step(getattr(self._target, name), name)
        return self._steps[name]

    def _step(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        if not asyncio.iscoroutinefunction(method):
            return method
        process, trouble = self._process, self._trouble
        rng = trouble.rng

        async def later_step(*args: Any, **kwargs: Any) -> Any:
            await process.go_on()
            if asyncio.get_running_loop().time() < trouble.away_until:
                trouble.count("store away")
                raise EngineUnavailable("It does not answer.")
            return await method(*args, **kwargs)

        if name in _LATER:
            return later_step

        async def step(*args: Any, **kwargs: Any) -> Any:
            loop = asyncio.get_running_loop()
            pause = 0.0005 + rng.random() * 0.004
            if trouble.slow and rng.random() < trouble.slow:
                trouble.count("store slow")
                pause = rng.uniform(0.5, 4.0)
            await asyncio.sleep(pause)
            await process.go_on()
            if loop.time() < trouble.away_until or (trouble.refuse and rng.random() < trouble.refuse):
                trouble.count("store away")
                raise EngineUnavailable("It does not answer.")
            result = await method(*args, **kwargs)
            if trouble.lose_reply and rng.random() < trouble.lose_reply:
                trouble.count("store reply lost")
                raise EngineUnavailable("It does not answer any more.")
            await process.go_on()
            return result

        return step
