"""Somebody outside who is told: an HTTP server of the plainest kind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Receiver:
    """An HTTP server of the plainest kind."""

    reply: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    heard: Callable[[bytes], None] = lambda _: None
    answers: Callable[[bytes], bytes] | None = None
    """What it says to a body; None: always ``reply``."""

    _beat: asyncio.Event = field(default_factory=asyncio.Event)

    async def has(self, count: int) -> None:
        """Wait until it was told so often."""
        while len(self.bodies) < count:
            self._beat.clear()
            await self._beat.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(length))
        self.heard(self.bodies[-1])
        self._beat.set()
        writer.write(self.answers(self.bodies[-1]) if self.answers else self.reply)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(
    reply: bytes = Receiver.reply, answers: Callable[[bytes], bytes] | None = None
) -> AsyncIterator[Receiver]:
    receiver = Receiver(reply, answers=answers)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver
