"""The client's side of a WebSocket, as lean as it can be, so that a bench measures the server.

Frames are masked with zeros, which RFC 6455 allows on the wire and which costs nothing; text only.
"""

import asyncio
import base64
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_TEXT, _CLOSE, _PING = 0x1, 0x8, 0x9
_SHORT = [struct.pack("!BBI", 0x81, 0x80 | length, 0) for length in range(126)]
_CLOSE_OK = struct.pack("!BBIH", 0x88, 0x82, 0, 1000)


def masked(payload: bytes) -> bytes:
    """A text message of a client."""
    length = len(payload)
    if length < 126:
        return _SHORT[length] + payload
    return struct.pack("!BBHI", 0x81, 0xFE, length, 0) + payload


@dataclass(frozen=True)
class Opening:
    """What a handshake says."""

    path: str
    subprotocol: str
    user: str
    password: str | None = None

    def request(self) -> bytes:
        """The HTTP request."""
        lines = [
            f"GET {self.path} HTTP/1.1",
            "Host: bench",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: YmVuY2htYXJrIGNsaWVudA==",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: {self.subprotocol}",
        ]
        if self.password is not None:
            pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            lines.append(f"Authorization: Basic {pair}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class ClientSocket(asyncio.Protocol):
    """One socket. ``on_text`` gets every text message, ``opened`` the status of the handshake."""

    def __init__(
        self,
        opening: Opening,
        on_text: Callable[[bytes], None],
        on_lost: Callable[["ClientSocket"], None],
    ) -> None:
        self.lost = False
        self.opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._opening = opening
        self._on_text = on_text
        self._on_lost = on_lost
        self._rest = b""
        self._upgraded = False
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(self._opening.request())

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.opened.done():
            self.opened.set_result(0)
        self._on_lost(self)

    def send(self, payload: bytes) -> None:
        """One text message."""
        self._transport.write(masked(payload))

    def drop(self) -> None:
        """Vanish, as a charger does that loses its power."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        if not self._upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._upgraded = True
            if not self.opened.done():
                self.opened.set_result(int(head.split(b" ", 2)[1]))
        self._frames(data)

    def _frames(self, data: bytes) -> None:
        at, size = 0, len(data)
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length >= 126:
                start += 2 if length == 126 else 8
                if size < start:
                    break
                length = int.from_bytes(data[at + 2 : start])
            if size < start + length:
                break
            self._frame(data[at] & 0x0F, data[start : start + length])
            at = start + length
        self._rest = data[at:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == _TEXT:
            self._on_text(payload)
        elif opcode == _PING:
            # RFC 6455 5.5.3: a pong carries what its ping carried, at most 125 bytes.
            self._transport.write(struct.pack("!BBI", 0x8A, 0x80 | len(payload), 0) + payload)
        elif opcode == _CLOSE:
            self._transport.write(_CLOSE_OK)
            self._transport.close()
