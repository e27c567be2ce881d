"""A WebSocket as the session's transport, and the limits of one socket.

``websockets`` waits without a limit for a peer that does not read: its own sends, pings and close
frames wait in its write buffer, so its keepalive never notices. Here each socket has two deadlines of
its own: how long a full write buffer may stay full, and how long nothing at all may come in. Pings are
ours as well, see ``csms.rounds``.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Event, State

from csms.auth import Admitted
from csms.limits import Doorway
from csms.rounds import Rounds
from csms.transport import TransportClosed

MESSAGE_TOO_BIG = 1009
ABNORMAL = 1006
"""RFC 6455 section 7.1.5: the socket ended without a close frame."""
_MAX_REASON_BYTES = 123
"""RFC 6455 section 5.5: a control frame carries 125 bytes, two of them the code."""

CROWDED, STALLED, SILENT, UNREAD = "crowded", "stalled", "silent", "unread"
"""Why a socket was cut off, as the metric counts it."""


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What one socket may do. Seconds and bytes."""

    ping_interval_s: float = 30.0
    """Not a byte for so long: the peer is pinged, and again after as long."""
    silence_s: float = 60.0
    """Not a byte for so long, although the peer is pinged: nobody is there (a half-open socket)."""
    stall_s: float = 10.0
    """What we send stays unread for so long: the peer is cut off."""
    max_unread_bytes: int = 256 * 1024
    """More than this is never kept for a peer that does not read (its pings are answered unasked)."""


_FORGOTTEN = Request("", Headers())
_PING = b"ping"
"""The pong repeats it (RFC 6455 section 5.5.3); it may be the same for all, for nobody waits for one."""


class ChargerConnection(ServerConnection):
    """A connection that remembers whom the handshake admitted, and that ends in bounded time."""

    def __init__(
        self,
        *args: Any,
        limits: SocketLimits,
        door: Doorway,
        rounds: Rounds,
        on_cut: Callable[[str], None],
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.admitted: Admitted | None = None
        self.cut: TransportClosed | None = None
        """Why this node cut the socket off, if it did."""
        self.take: Callable[[str], bool] | None = None
        """Who is offered each whole text message as it comes in; what it turns down queues for ``recv``."""
        self._limits = limits
        self._door = door
        self._rounds = rounds
        self._on_cut = on_cut
        self._address: str | None = None
        self._heard_at = self.loop.time()
        self._pinged_at = self._asked_at = self._heard_at
        """When it was pinged last, and first since it was heard."""
        self._stall: asyncio.TimerHandle | None = None

    @property
    def congested(self) -> bool:
        """Whether what was sent last still waits for the peer to read."""
        return self._stall is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it at the door; a crowd of one address is turned away before it costs more."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else "unknown"
        if not self._door.enter(address):
            self.cut_off(CROWDED, "too many connections of this address are not authenticated yet")
            return
        self._address = address
        self._rounds.enter(self, self.loop.time())

    def through(self) -> None:
        """It is not at the door any more."""
        address, self._address = self._address, None
        if address is not None:
            self._door.leave(address)

    def forget_handshake(self) -> None:
        """Let go of what only the opening needed; an idle socket would keep it for months."""
        self.admitted = self.response = None
        self.request = _FORGOTTEN  # ``websockets`` takes None for a handshake that is still to come.

    def data_received(self, data: bytes) -> None:
        """Any byte is a sign of life: a pong may stand behind thousands of messages that wait."""
        self._heard_at = self.loop.time()
        super().data_received(data)
        if self.congested and self.transport.get_write_buffer_size() > self._limits.max_unread_bytes:
            self.cut_off(UNREAD, f"more than {self._limits.max_unread_bytes} bytes unread by the charger")

    def process_event(self, event: Event) -> None:
        """Give a whole message to whoever can take it now: no queue, no task to wake, as for nearly all."""
        if self.take is not None and isinstance(event, Frame) and self._is_next(event):
            try:
                text = bytes(event.data).decode()
            except UnicodeDecodeError:  # ``recv`` closes the socket for it
                return super().process_event(event)
            if self.take(text):
                return None
        return super().process_event(event)

    def _is_next(self, frame: Frame) -> bool:
        return frame.opcode is Opcode.TEXT and frame.fin and not len(self.recv_messages.frames)

    def pause_writing(self) -> None:
        """The write buffer is full: from now on the peer has its time to read."""
        super().pause_writing()
        reason = f"it did not read what it was sent for {self._limits.stall_s:g} s"
        self._stall = self.loop.call_later(self._limits.stall_s, self.cut_off, STALLED, reason)

    def resume_writing(self) -> None:
        """It reads."""
        self._forget_stall()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        self.take = None
        self._forget_stall()
        self._rounds.leave(self)
        self.through()
        super().connection_lost(exc)

    def cut_off(self, why: str, reason: str) -> None:
        """End it now; a close frame would wait like everything else."""
        if self.cut is None and not self.transport.is_closing():
            self.cut = TransportClosed(ABNORMAL, reason)
            self._on_cut(why)
        self.transport.abort()

    def _forget_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def look(self, now: float) -> float | None:
        """What is due on the rounds; when to come back, or None: never."""
        limits = self._limits
        patience_s = limits.silence_s - limits.ping_interval_s
        if not self.transport.is_reading():
            self._heard_at = now  # While we do not read, nobody can be heard: the silence is ours.
            self._ping(now)
        elif self._asked_at > self._heard_at and now - self._asked_at >= patience_s:
            self.cut_off(SILENT, f"nothing was heard from it for {limits.silence_s:g} s")
            return None
        elif now - max(self._heard_at, self._pinged_at) >= limits.ping_interval_s:
            self._ping(now)
        next_ping = max(self._heard_at, self._pinged_at) + limits.ping_interval_s
        asked = self._asked_at > self._heard_at
        return min(next_ping, self._asked_at + patience_s) if asked else next_ping

    def _ping(self, now: float) -> None:
        """Without waiting for its pong, and not behind what the peer does not read anyway.

        Only who was asked can be silent: after a pause of this process nobody is cut off unasked.
        """
        if self._asked_at <= self._heard_at < now:
            self._asked_at = now
        self._pinged_at = now
        if self.state is State.OPEN and not self.congested:
            self.protocol.send_ping(_PING)
            self.send_data()


class WebSocketTransport:
    """One charger's WebSocket."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def receive(self) -> str | bytes:
        """The next message. Raises TransportClosed."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise self._ended(closed) from None

    async def send(self, text: str) -> None:
        """Send one text message. Raises TransportClosed."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise self._ended(closed) from None

    async def pause(self, seconds: float) -> None:
        """Read nothing for so long, or until the socket is closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._connection.wait_closed()
        except TimeoutError:
            return

    def post(self, text: str) -> bool:
        """Send one text message without waiting, unless an earlier one still waits for the peer to read."""
        connection = self._connection
        if connection.state is not State.OPEN or connection.transport.get_write_buffer_size():
            return False
        broadcast((connection,), text)
        return True

    async def close(self, code: int, reason: str) -> None:
        """Close; a peer that does not answer is cut off later, one that does not read at once."""
        if isinstance(self._connection, ChargerConnection) and self._connection.congested:
            self._connection.cut_off(UNREAD, reason)
            return
        await self._connection.close(code, reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore"))

    def _ended(self, closed: ConnectionClosed) -> TransportClosed:
        cut = self._connection.cut if isinstance(self._connection, ChargerConnection) else None
        return cut or _closed(closed)


def _closed(closed: ConnectionClosed) -> TransportClosed:
    """Who closed first says why; neither: the network went away (1006)."""
    first, second = (
        (closed.rcvd, closed.sent) if closed.rcvd_then_sent is not False else (closed.sent, closed.rcvd)
    )
    word = first or second
    if word is None:
        return TransportClosed(ABNORMAL, "connection lost")
    return TransportClosed(word.code, word.reason)
