"""Reading objects without threads: one socket each, read no faster than its bytes are taken.

boto3 reads on a thread per call, which costs more than the bytes themselves once hundreds of chargers fetch.
So it only signs the request here. Whatever is out of the ordinary (a proxy, a redirect, an error, a server
that is slow to answer) is left to boto3, which knows what to do: ``open`` returns None then.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import httptools

from storage.errors import EngineUnavailable
from storage.read_budget import LARGEST, ReadBudget

if TYPE_CHECKING:
    from collections.abc import Callable

_IDLE = 64
"""Connections kept for reuse."""


class S3Streams:
    """Connections to one S3 endpoint. Belongs to one event loop; ``close`` ends those that are idle."""

    def __init__(self, endpoint: str | None, timeout_s: float) -> None:
        parts = urlsplit(endpoint or "")
        self._host, self._timeout_s = parts.hostname or "", timeout_s
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._usable = bool(self._host) and parts.scheme not in getproxies()
        self._idle: list[_Connection] = []
        # One loop reads one socket at a time, so all of them may read into the same place.
        self._room = bytearray(LARGEST)

    async def open(
        self, url: str, part: str | None, budget: ReadBudget
    ) -> "AsyncGenerator[bytes, None] | None":
        """The object at a presigned address, or a ``part`` ("bytes=0-9") of it; None: ask boto3 instead."""
        if not self._usable:
            return None
        try:
            connection = await self._connected()
            await connection.ask(url, part, budget, self._timeout_s)
        except (OSError, TimeoutError, httptools.HttpParserError):
            return None
        if connection.status != (206 if part else 200):
            connection.abort()
            return None
        return self._body(connection)

    def close(self) -> None:
        """Idle connections; those that are read end with their readers."""
        while self._idle:
            self._idle.pop().abort()

    async def _connected(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(min(5.0, self._timeout_s)):
            _, protocol = await loop.create_connection(
                lambda: _Connection(memoryview(self._room)), self._host, self._port, ssl=self._tls
            )
        return protocol

    async def _body(self, connection: "_Connection") -> AsyncGenerator[bytes, None]:
        try:
            while chunk := await connection.next_chunk(self._timeout_s):
                yield chunk
        finally:
            connection.drop()
            if connection.reusable and len(self._idle) < _IDLE:
                self._idle.append(connection)
            else:
                connection.abort()


class _Connection(asyncio.BufferedProtocol):
    """One socket: a request goes out, an answer comes in."""

    def __init__(self, room: memoryview) -> None:
        self._room = room
        self._budget = ReadBudget(0)
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._begun = self._complete = self._lost = False
        self._keeps = True
        self.status = 0

    @property
    def reusable(self) -> bool:
        """Whether another request may follow."""
        return self._complete and self._keeps and not self._lost and not self._chunks

    async def ask(self, url: str, part: str | None, budget: ReadBudget, timeout_s: float) -> None:
        """Send the request and wait for the head of the answer. Raises OSError or TimeoutError."""
        assert self._transport is not None  # noqa: S101 - set before anybody has this object
        parts = urlsplit(url)
        lines = [f"GET {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"Range: {part}"] if part else []
        self._budget = budget
        self._parser = httptools.HttpResponseParser(self)
        self._begun = self._complete = False
        self.status = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            await self._until(lambda: self._begun, timeout_s)
        except BaseException:
            self.abort()
            raise
        if not self._begun:
            self.abort()
            raise ConnectionResetError("the connection ended before an answer")

    async def next_chunk(self, timeout_s: float) -> bytes:
        """The next bytes; b"" behind the last. Raises EngineUnavailable where they end too early."""
        if self._paused and not self._chunks and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        try:
            await self._until(lambda: bool(self._chunks) or self._complete, timeout_s)
        except TimeoutError:
            raise EngineUnavailable("The S3 server stopped in the middle of an object.") from None
        if self._chunks:
            return self._chunks.popleft()
        if not self._complete:
            raise EngineUnavailable("The S3 server broke off in the middle of an object.")
        return b""

    async def _until(self, ready: "Callable[[], bool]", timeout_s: float) -> None:
        """Until it is so, or the connection is lost."""
        while not ready() and not self._lost:
            self._waiter = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(timeout_s):
                await self._waiter

    def drop(self) -> None:
        """Forget what nobody took."""
        self._budget.gave(sum(map(len, self._chunks)))
        self._chunks.clear()

    def abort(self) -> None:
        """Close at once. What an error said, nobody takes: it must not weigh on the budget for ever."""
        self._lost = True
        self.drop()
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the protocol's signature
        # Asked for when there is something to read: what others hold just now counts.
        return self._room[: self._budget.size()]

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._parser.feed_data(self._room[:nbytes])
        except httptools.HttpParserError:
            self.abort()
        if self._chunks and not self._complete and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._lost = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the parser calls.

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._keeps = self._parser.should_keep_alive()
        self._begun = True

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._budget.took(len(body))

    def on_message_complete(self) -> None:
        self._complete = True
