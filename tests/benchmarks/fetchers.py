"""Many chargers that fetch at once, each on a bare socket: what they do costs as little as it can."""

import asyncio
import time
from typing import cast
from urllib.parse import urlsplit

from tests.benchmarks.child import Json, serve_commands

_ROOM = bytearray(256 * 1024)


class Fetcher(asyncio.BufferedProtocol):
    """One GET over HTTP/1.1; counts the body and keeps nothing of it. ``stop_after``: breaks off there."""

    def __init__(self, head: bytes, stop_after: int | None) -> None:
        self.done: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        self._head = head
        self._stop_after = stop_after
        self._answer: bytearray | None = bytearray()
        self._status = 0
        self._length = 0
        self.body = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._head)

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(_ROOM)

    def buffer_updated(self, nbytes: int) -> None:
        if self._answer is None:
            self.body += nbytes
        else:
            self._answer += _ROOM[:nbytes]
            self._begin()
        if self._answer is None:
            enough = self._stop_after is not None and self.body >= self._stop_after
            if self.body >= self._length or enough:
                self._end()

    def _begin(self) -> None:
        assert self._answer is not None
        head, found, rest = self._answer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = bytes(head).decode("latin-1").split("\r\n")
        self._status = int(lines[0].split(" ")[1])
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        self._length = int(fields.get("content-length", "0"))
        self.body, self._answer = len(rest), None

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result((self._status, self.body))
        if self._transport is not None:
            self._transport.abort() if self._stop_after is not None else self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result((self._status, self.body))


async def fetch(given: Json) -> Json:
    """Fetch all URLs at once; how long it took and what came for each."""
    started = time.monotonic()
    got = await asyncio.gather(
        *(
            _one(url, first, given.get("stop_after"))
            for url, first in zip(given["urls"], given.get("first") or [0] * len(given["urls"]), strict=True)
        )
    )
    return {"seconds": time.monotonic() - started, "got": got}


async def _one(url: str, first: int, stop_after: int | None) -> tuple[int, int]:
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
    if first:
        lines.append(f"Range: bytes={first}-")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(lambda: Fetcher(head, stop_after), parts.hostname, parts.port)
    return await protocol.done


async def send(given: Json) -> Json:
    """One request with so many bytes, the same block over and over; its status, and how long it took."""
    parts = urlsplit(given["url"])
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    fields = {"Host": parts.netloc, "Connection": "close", "Content-Length": str(given["length"])}
    lines = [f"{name}: {value}" for name, value in {**fields, **given["headers"]}.items()]
    block = bytes.fromhex(given["block"]) * 1024
    started, left = time.monotonic(), given["length"]
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write("\r\n".join([f"{given['method']} {path} HTTP/1.1", *lines, "", ""]).encode())
    while left:
        writer.write(block[: min(left, len(block))])
        left -= min(left, len(block))
        await writer.drain()
    status = int((await reader.readline()).split(b" ")[1])
    writer.close()
    return {"seconds": time.monotonic() - started, "status": status}


if __name__ == "__main__":
    serve_commands({"fetch": fetch, "send": send})
