"""Between the handshake and the first word of a socket: what the charger's older one told comes first."""

import asyncio
from collections.abc import Callable

from csms.registry import SessionRegistry
from csms.session import Session
from csms.websocket import ChargerConnection, WebSocketTransport

CloseOlder = Callable[[WebSocketTransport], None]


class Entrance:
    """Lets the newest socket of each charger in, once all that the one before told is stored.

    A new epoch fences off what the older one told, so that must be stored and believed first. While the
    store is away only the newest socket of a charger waits for it, and only as long as it is there.
    """

    def __init__(
        self, registry: SessionRegistry, supersede: Callable[[Session], None], close: CloseOlder
    ) -> None:
        self._registry = registry
        self._supersede = supersede
        self._close = close
        self._waiting: dict[str, WebSocketTransport] = {}

    async def pass_through(
        self, charger_id: str, connection: ChargerConnection, transport: WebSocketTransport
    ) -> bool:
        """Wait for its turn; False: it is not wanted any more."""
        before = self._waiting.pop(charger_id, None)
        if before is not None:
            self._close(before)
        older = self._registry.current(charger_id)
        if older is None:
            return True
        self._supersede(older)
        self._waiting[charger_id] = transport
        settled = asyncio.create_task(older.settled())
        gone = asyncio.create_task(connection.wait_closed())
        try:
            await asyncio.wait({settled, gone}, return_when=asyncio.FIRST_COMPLETED)
            return self._waiting.get(charger_id) is transport and not gone.done()
        finally:
            settled.cancel()
            gone.cancel()
            if self._waiting.get(charger_id) is transport:
                del self._waiting[charger_id]
