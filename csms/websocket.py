"""A WebSocket as the session's transport."""

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from csms.auth import Admitted
from csms.transport import TransportClosed

MESSAGE_TOO_BIG = 1009
_MAX_REASON_BYTES = 123
"""RFC 6455 section 5.5: a control frame carries 125 bytes, two of them the code."""


class ChargerConnection(ServerConnection):
    """A connection that remembers whom the handshake admitted."""

    admitted: Admitted | None = None


class WebSocketTransport:
    """One charger's WebSocket."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def receive(self) -> str | bytes:
        """The next message. Raises TransportClosed."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def send(self, text: str) -> None:
        """Send one text message. Raises TransportClosed."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def close(self, code: int, reason: str) -> None:
        """Close; a peer that does not answer is cut off after the close timeout."""
        await self._connection.close(code, reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore"))


def _closed(closed: ConnectionClosed) -> TransportClosed:
    """Who closed first says why; neither: the network went away (1006)."""
    first, second = (
        (closed.rcvd, closed.sent) if closed.rcvd_then_sent is not False else (closed.sent, closed.rcvd)
    )
    word = first or second
    return (
        TransportClosed(1006, "connection lost") if word is None else TransportClosed(word.code, word.reason)
    )
