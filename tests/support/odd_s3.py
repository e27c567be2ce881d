"""An S3 server on a real socket that misbehaves in one way: for what no good server can be made to do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"


@dataclass
class Seen:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


@dataclass
class Reply:
    """What to answer. ``lies``: the Content-Length, where it is not the body's; ``silent``: no answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    lies: int | None = None
    silent: bool = False


def refusing(status: int, code: str) -> Callable[[Seen], Reply]:
    """Every request ends in this error."""
    return lambda _: Reply(status, ERROR.format(code=code).encode())


@dataclass
class OddS3:
    """Its address, and what it was asked."""

    answer: Callable[[Seen], Reply]
    seen: list[Seen] = field(default_factory=list)
    endpoint: str = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._one(head.decode("latin-1"), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _one(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if headers.get("expect") == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        seen = Seen(method, target, headers, body)
        self.seen.append(seen)
        reply = self.answer(seen)
        if reply.silent:
            await asyncio.Event().wait()
        length = len(reply.body) if reply.lies is None else reply.lies
        fields = {"Content-Length": str(length), "Content-Type": "application/xml", **reply.headers}
        said = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in fields.items())]
        writer.write(("\r\n".join(said) + "\r\n\r\n").encode() + reply.body)
        await writer.drain()
        if reply.lies is not None:
            raise ConnectionError


@asynccontextmanager
async def odd_s3(answer: Callable[[Seen], Reply]) -> AsyncIterator[OddS3]:
    """Such a server while the block runs."""
    odd = OddS3(answer)
    server = await asyncio.start_server(odd._serve, "127.0.0.1", 0)
    odd.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield odd
    finally:
        server.close()
