"""The leases on a node's sockets: claimed when a charger connects, renewed while it stays."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from csms.lease import Lease
from csms.registry import SessionRegistry
from csms.session import Session
from storage.charger import Route
from storage.errors import AmpwaveError, EngineUnavailable
from storage.ports import RouteStore

log = structlog.get_logger(__name__)

_CHUNK = 1000
"""Of one statement: about two milliseconds of this loop."""
_CONFIRM_S = 3.0
_RETRY_S = 1.0
"""After a renewal that failed; a third of a lease is too long to wait where every second counts."""


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """Who holds the leases of this node, and for how long."""

    node_id: str
    boot_id: str
    lease_s: float
    monotonic: Callable[[], float]


class RouteKeeper:
    """Claims, renews and releases routes for one node."""

    def __init__(self, store: RouteStore, registry: SessionRegistry, terms: LeaseTerms) -> None:
        self._store = store
        self._registry = registry
        self._terms = terms
        self._lease = timedelta(seconds=terms.lease_s)
        self._asked = asyncio.Event()
        self._steady_since = self._renewed_at = terms.monotonic()

    @property
    def lease_s(self) -> float:
        """How long a lease is."""
        return self._terms.lease_s

    @property
    def steady_s(self) -> float:
        """For how long renewing has worked without a failure; 0 also for a node that was frozen."""
        now = self._terms.monotonic()
        return now - self._steady_since if now - self._renewed_at < self._terms.lease_s else 0.0

    async def claim(self, charger_id: str, dialect: str) -> tuple[Route, Lease]:
        """The route of a newly authenticated socket, with an epoch above all before it."""
        terms, asked_at = self._terms, self._terms.monotonic()
        route = await self._store.claim(charger_id, terms.node_id, terms.boot_id, dialect, self._lease)
        return route, Lease(asked_at, terms.lease_s, terms.monotonic, self._asked.set)

    async def release(self, session: Session) -> None:
        """Give the route back if it is still this session's; otherwise its lease runs out."""
        try:
            await self._store.release(session.charger_id, session.session_epoch)
        except EngineUnavailable:
            log.warning("a route was not released; its lease will run out", charger_id=session.charger_id)

    async def renew_for_ever(self, supersede: Callable[[Session], None]) -> None:
        """Renew at a third of the lease; a session whose epoch has moved on is superseded.

        Nothing may end this: a node that renews no more is mute, see ``csms.lease``.
        """
        pause = self._terms.lease_s / 3
        while True:
            await self._wait(pause)
            pause = self._terms.lease_s / 3
            try:
                for session in await self.renew():
                    supersede(session)
                self._renewed_at = self._terms.monotonic()
            except (AmpwaveError, TimeoutError) as error:
                log.warning("routes were not renewed", error=str(error) or "no answer in time")
                pause = self.unsteady(pause)
            except Exception:
                log.exception("routes were not renewed")
                pause = self.unsteady(pause)

    def unsteady(self, pause: float = 0.0) -> float:
        """The store failed: ``steady_s`` counts anew. Returns how long to wait instead of ``pause``."""
        self._steady_since = self._terms.monotonic()
        return min(_RETRY_S, pause)

    async def _wait(self, seconds: float) -> None:
        """Until it is time, or, between retries not, until a session waits for it."""
        if seconds <= _RETRY_S:
            await asyncio.sleep(seconds)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return

    async def renew(self) -> list[Session]:
        """Renew all routes once; the sessions that another node or a newer socket has taken over."""
        self._asked.clear()
        sessions = self._registry.all()
        stale: list[Session] = []
        for start in range(0, len(sessions), _CHUNK):
            # A store that does not answer must not keep the others' renewal from being tried again.
            async with asyncio.timeout(self._terms.lease_s):
                stale += await self._renew(sessions[start : start + _CHUNK])
        return stale

    async def confirm(self, session: Session) -> bool:
        """Ask the store whether the route is still this session's: another node's claim tells us nothing.

        A store that does not answer says nothing against it; the lease then counts as far as it goes, and is
        not ``sure``.
        """
        try:
            async with asyncio.timeout(_CONFIRM_S):
                return not await self._renew([session])
        except (AmpwaveError, TimeoutError) as error:
            log.warning("a route was not confirmed", charger_id=session.charger_id, error=str(error))
            return True

    async def _renew(self, sessions: Sequence[Session]) -> list[Session]:
        terms, asked_at = self._terms, self._terms.monotonic()
        epochs = [(session.charger_id, session.session_epoch) for session in sessions]
        moved = set(await self._store.renew(terms.node_id, terms.boot_id, epochs, self._lease))
        stale = [session for session in sessions if session.charger_id in moved] if moved else []
        for session in stale:
            session.lease.lose()  # at once: whoever closes the socket may have more to ask before
        for session in sessions:
            session.lease.extend(asked_at)  # of one that is lost it changes nothing
        return stale
