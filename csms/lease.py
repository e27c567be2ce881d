"""How long a node may speak for a charger, on the node's own clock.

A lease that ran out may have been taken by another node: one that was frozen, or whose database was
away, does not know. Until it was renewed nothing goes out, so that a charger that has moved on is
never answered, let alone commanded, by the node it left.

A good lease is no promise that nobody else has the charger: the newest socket wins at once, on any
node. Answers go by the lease, commands by ``sure``: the store said so a moment ago.
"""

import asyncio
from collections.abc import Callable

SURE_S = 1.0
"""For how long the store's word that the route is this session's is enough for a command."""


def _nobody() -> None:
    """Nobody has to be asked."""


class Lease:
    """What one session knows of its route's lease."""

    def __init__(
        self,
        asked_at: float,
        lease_s: float,
        monotonic: Callable[[], float],
        ask: Callable[[], None] = _nobody,
    ) -> None:
        """Granted by a store that was asked then.

        ``ask`` is called when somebody waits for a renewal: it should not be long in coming.
        """
        self._asked_at = asked_at
        self._lease_s = lease_s
        self._monotonic = monotonic
        self._ask = ask
        self._lost = False
        self._waiting: asyncio.Future[None] | None = None

    @property
    def good(self) -> bool:
        """Whether the node may speak now, as far as it can know without asking."""
        return not self._lost and self._monotonic() < self._asked_at + self._lease_s

    @property
    def sure(self) -> bool:
        """Whether it is good, and the store was asked so short a time ago that a command may rest on it."""
        return self.good and self._monotonic() - self._asked_at < SURE_S

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

    def extend(self, asked_at: float) -> None:
        """It was renewed; counted from before the store was asked it ends here no later than there."""
        self._asked_at = max(self._asked_at, asked_at)
        if self._waiting is not None:
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
    return Lease(float("inf"), 0.0, lambda: 0.0)
