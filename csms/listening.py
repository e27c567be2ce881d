"""A node says now and then that it listens, where others can read it later (``storage.listening``).

Chargers that were silent while nobody listened have not been silent, as far as anybody can know. A node that
is frozen, or whose database is away, cannot say so; nor can it take anybody in then.
"""

import asyncio
from collections.abc import Callable

import structlog

from storage.errors import AmpwaveError
from storage.listening import MARK_EVERY
from storage.ports import RouteStore

log = structlog.get_logger(__name__)


class Listening:
    """The marks of one node, and for how long it has made none."""

    def __init__(self, store: RouteStore, node_id: str, boot_id: str, monotonic: Callable[[], float]) -> None:
        self._store, self._node_id, self._boot_id = store, node_id, boot_id
        self._monotonic = monotonic
        self._marked_at = monotonic()

    async def mark_for_ever(self) -> None:
        """Mark at once and then at a pace; nothing may end this."""
        every_s = MARK_EVERY.total_seconds()
        while True:
            try:
                async with asyncio.timeout(every_s):
                    await self._store.mark_listening(self._node_id, self._boot_id)
                self._marked_at = self._monotonic()
            except (AmpwaveError, TimeoutError) as error:
                why = str(error) or "no answer in time"
                log.warning("it was not marked that this node listens", error=why)
            except Exception:
                # Nothing is lost: without a mark for 15 s the node sends nothing new (``unmarked_s``).
                log.exception("it was not marked that this node listens")
            await asyncio.sleep(every_s)

    def unmarked_s(self) -> float:
        """For how long it has not been able to say that it listens, since it was begun."""
        return self._monotonic() - self._marked_at
