"""The leases on a node's sockets: claimed when a charger connects, renewed while it stays."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from csms.registry import SessionRegistry
from csms.session import Session
from storage.charger import Route
from storage.errors import EngineUnavailable, NotFound
from storage.ports import RouteStore

log = structlog.get_logger(__name__)

_CHUNK = 5000


class RouteKeeper:
    """Claims, renews and releases routes for one node."""

    def __init__(
        self, store: RouteStore, registry: SessionRegistry, node_id: str, boot_id: str, lease_s: float
    ) -> None:
        self._store = store
        self._registry = registry
        self._node_id = node_id
        self._boot_id = boot_id
        self._lease_s = lease_s

    async def claim(self, charger_id: str, dialect: str) -> Route:
        """The route of a newly authenticated socket, with an epoch above all before it."""
        lease = timedelta(seconds=self._lease_s)
        return await self._store.claim(charger_id, self._node_id, self._boot_id, dialect, lease)

    async def release(self, session: Session) -> None:
        """Give the route back if it is still this session's; otherwise its lease runs out."""
        try:
            await self._store.release(session.charger_id, session.session_epoch)
        except EngineUnavailable:
            log.warning("a route was not released; its lease will run out", charger_id=session.charger_id)

    async def renew_for_ever(self, supersede: Callable[[Session], None]) -> None:
        """Renew at a third of the lease; a session whose epoch has moved on is superseded."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                for session in await self.renew():
                    supersede(session)
            except (EngineUnavailable, NotFound) as error:
                log.warning("routes were not renewed", error=str(error))

    async def renew(self) -> list[Session]:
        """Renew all routes once; the sessions that another node or a newer socket has taken over."""
        lease = timedelta(seconds=self._lease_s)
        sessions = self._registry.all()
        stale: list[Session] = []
        for start in range(0, len(sessions), _CHUNK):
            held = {each.charger_id: each for each in sessions[start : start + _CHUNK]}
            epochs = [(name, session.session_epoch) for name, session in held.items()]
            moved = await self._store.renew(self._node_id, self._boot_id, epochs, lease)
            stale += [held[name] for name in moved if name in held]
        return stale
