"""Chargers whose node died: their leases are given up, and their twins learn that nobody holds them.

A node that is killed tells nobody; its chargers come back elsewhere or stay away. Every node looks
after the leases of all, and any of them may find one. What one node gave up but could not record, the
next look finds again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from csms.routes import RouteKeeper
from storage.errors import AmpwaveError
from storage.ports import RouteStore

log = structlog.get_logger(__name__)

GRACE_LEASES = 2
"""A lease is given up when it ran out that many leases ago: its node may only be slow."""

RecordGone = Callable[[str, int], Awaitable[None]]
"""Put on record that this session of a charger is over."""


async def sweep_for_ever(store: RouteStore, keeper: RouteKeeper, record: RecordGone) -> None:
    """Look once a lease. Only where renewing has worked for as long: after an outage all nodes come first."""
    lease_s = keeper.lease_s
    while True:
        await asyncio.sleep(lease_s)
        if keeper.steady_s < lease_s:
            continue
        try:
            await sweep(store, lease_s, record)
        except AmpwaveError as error:
            keeper.unsteady()
            log.warning("dead leases were not swept", error=str(error))
        except Exception:
            keeper.unsteady()
            log.exception("dead leases were not swept")


async def sweep(store: RouteStore, lease_s: float, record: RecordGone) -> None:
    """Look once."""
    for charger_id, session_epoch in await store.abandon(timedelta(seconds=GRACE_LEASES * lease_s)):
        log.warning("a charger's node is gone", charger_id=charger_id, epoch=session_epoch)
        await record(charger_id, session_epoch)
