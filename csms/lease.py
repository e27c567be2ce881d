"""How long a node may speak for a charger, on the node's own clock.

A lease that ran out may have been taken by another node: one that was frozen, or whose database was
away, does not know. Until it was renewed nothing goes out, so that a charger that has moved on is
never answered, let alone commanded, by the node it left.
"""

import asyncio
from collections.abc import Callable


def _nobody() -> None:
    """Nobody has to be asked."""


class Lease:
    """What one session knows of its route's lease."""

    def __init__(
        self, good_until: float, monotonic: Callable[[], float], ask: Callable[[], None] = _nobody
    ) -> None:
        """``ask`` is called when somebody waits for a renewal: it should not be long in coming."""
        self._good_until = good_until
        self._monotonic = monotonic
        self._ask = ask
        self._lost = False
        self._waiting: asyncio.Future[None] | None = None

    @property
    def good(self) -> bool:
        """Whether the node may speak now, as far as it can know without asking."""
        return not self._lost and self._monotonic() < self._good_until

    async def held(self) -> bool:
        """Wait, if the lease ran out, until it is known what became of it; False: it was lost."""
        while not self.good:
            if self._lost:
                return False
            self._ask()
            if self._waiting is None:
                self._waiting = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiting)
        return True

    def extend(self, good_until: float) -> None:
        """It was renewed; the time counts from before the store was asked."""
        self._good_until = max(self._good_until, good_until)
        self._wake()

    def lose(self) -> None:
        """A newer socket has the route."""
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.set_result(None)


def unbounded_lease() -> Lease:
    """Of a session that no other node can take, as in a test of the session alone."""
    return Lease(float("inf"), lambda: 0.0)
