"""Says "look again" after a commit, for many commits at once.

PostgreSQL lets one transaction at a time commit that notifies, in the whole cluster, wait for the disk
included (the lock on database 0 in ``PreCommit_Notify``). Notified from within, the transactions of all nodes
would queue there. So it is said after them, by a transaction that has nothing else to commit and waits for no
disk. Killed in between, readers look after their ``fallback_s``: a delay, never a loss.
"""

import asyncio
from collections.abc import Iterable

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.postgres.engine import driver_alone

_log = structlog.get_logger("bell")

PAUSE_S = 0.05
"""Between two rings: who looks twenty times a second sees all that four hundred commits bring."""

_RING = "SET LOCAL synchronous_commit = off; NOTIFY {}"
"""One string of statements without BEGIN is one transaction, which an error ends."""


class Bell:
    """One for each process that commits; rings at once, then at most every ``PAUSE_S``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._due: set[str] = set()
        self._ringing: asyncio.Task[None] | None = None

    def ring(self, channels: Iterable[str]) -> None:
        """Whoever listens looks soon. Waits for nothing and never fails. Channels are names of ours."""
        self._due.update(channels)
        if self._due and (self._ringing is None or self._ringing.done()):
            self._ringing = asyncio.create_task(self._ring(), name="bell")

    async def _ring(self) -> None:
        while self._due:
            channels, self._due = sorted(self._due), set()
            try:
                async with driver_alone(self._engine) as driver:
                    await driver.execute(_RING.format("; NOTIFY ".join(channels)))
            except Exception as error:  # noqa: BLE001 - nobody awaits a ring, and without one readers look later
                _log.warning("bell.not_rung", channels=channels, error=repr(error))
            await asyncio.sleep(PAUSE_S)
