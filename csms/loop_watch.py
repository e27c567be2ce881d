"""How late the event loop of a node comes to what is due: what chargers say waits as long, and so do we."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

BEAT_S = 0.5
SPAN_S = 15.0
"""So far back the worst counts."""


def _unseen(_: float) -> None:
    return None


@dataclass(slots=True)
class LoopWatch:
    """How late the event loop of this process comes to what is due. ``show`` is told at every beat."""

    show: Callable[[float], None] = _unseen
    _seen: deque[tuple[float, float]] = field(default_factory=deque)

    async def run(self) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.note(loop.time(), loop.time() - due)

    def note(self, at: float, late_s: float) -> None:
        """A beat that was due so long ago."""
        self._seen.append((at, max(0.0, late_s)))
        while self._seen[0][0] < at - SPAN_S:
            self._seen.popleft()
        self.show(self.worst())

    def worst(self) -> float:
        """The latest beat of the last seconds, in seconds; 0.0 before the first."""
        return max((late for _, late in self._seen), default=0.0)
