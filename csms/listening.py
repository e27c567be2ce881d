"""A node says now and then that it listens, where others can read it later (``storage.listening``).

Chargers that were silent while nobody listened have not been silent, as far as anybody can know. A node that
is frozen, or whose database is away, cannot say so; nor can it take anybody in then.
"""

import asyncio

import structlog

from storage.errors import AmpwaveError
from storage.listening import MARK_EVERY
from storage.ports import RouteStore

log = structlog.get_logger(__name__)


async def mark_for_ever(store: RouteStore, node_id: str, boot_id: str) -> None:
    """Mark at once and then at a pace; nothing may end this."""
    every_s = MARK_EVERY.total_seconds()
    while True:
        try:
            async with asyncio.timeout(every_s):
                await store.mark_listening(node_id, boot_id)
        except (AmpwaveError, TimeoutError) as error:
            log.warning("it was not marked that this node listens", error=str(error) or "no answer in time")
        except Exception:
            log.exception("it was not marked that this node listens")
        await asyncio.sleep(every_s)
