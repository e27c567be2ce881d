"""Fetching an image as a charger does: GET with Range, resumed after a break, hashed as it comes."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx2

from csms.simulator.errors import DownloadFailed
from csms.simulator.firmware import HEAD_BYTES

Pause = Callable[[float], Awaitable[None]]
_OK, _PARTIAL = 200, 206
_CHUNK = 16 * 1024
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Transfer:
    """What to fetch and how. ``piece``: bytes per request, None: all at once; ``limit``: largest image."""

    url: str
    limit: int
    piece: int | None = None
    retries: int = 0
    retry_s: float = 0.0
    break_after: int | None = None
    """A fault: the first attempt ends after so many bytes."""
    bytes_per_s: float | None = None
    """A slow link."""
    keeps: bool = False
    """All of the image is kept, to be offered to others."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The image: its SHA-256, its first bytes and its length; the rest was only hashed."""

    sha256: bytes
    head: bytes
    length: int
    requests: int
    body: bytes = b""
    """All of it, where it is kept."""


@dataclass(slots=True)
class _Sink:
    limit: int
    body: bytearray | None = None
    total: int | None = None
    length: int = 0
    requests: int = 0
    etag: str | None = None
    head: bytearray = field(default_factory=bytearray)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def complete(self) -> bool:
        return self.total is not None and self.length == self.total

    def restart(self) -> None:
        self.length = 0
        self.head.clear()
        if self.body is not None:
            self.body.clear()
        self.digest = hashlib.sha256()

    def expect(self, total: int | None) -> None:
        if total is not None and total > self.limit:
            raise DownloadFailed(f"The image has {total} bytes; this charger takes {self.limit}.")
        self.total = total

    def take(self, chunk: bytes) -> None:
        self.length += len(chunk)
        if self.length > self.limit:
            raise DownloadFailed(f"The image is longer than {self.limit} bytes.")
        if len(self.head) < HEAD_BYTES:
            self.head += chunk[: HEAD_BYTES - len(self.head)]
        self.digest.update(chunk)
        if self.body is not None:
            self.body += chunk


class _Broken(Exception):
    """The transfer ended early; another attempt may go on from there."""


async def download(http: httpx2.AsyncClient, transfer: Transfer, pause: Pause = asyncio.sleep) -> Fetched:
    """Fetch an image, with retries that resume; ``pause`` lies between them. Raises DownloadFailed."""
    sink = _Sink(transfer.limit, bytearray() if transfer.keeps else None)
    problem = "nothing was tried"
    for attempt in range(transfer.retries + 1):
        if attempt:
            await pause(transfer.retry_s)
        try:
            await _attempt(http, transfer, sink, transfer.break_after if attempt == 0 else None)
            whole = bytes(sink.body or b"")
            return Fetched(sink.digest.digest(), bytes(sink.head), sink.length, sink.requests, whole)
        except (_Broken, httpx2.HTTPError) as error:
            problem = f"{type(error).__name__} {error}"
    raise DownloadFailed(f"The image could not be fetched: {problem}.")


async def _attempt(
    http: httpx2.AsyncClient, transfer: Transfer, sink: _Sink, break_after: int | None
) -> None:
    while not sink.complete:
        async with http.stream("GET", transfer.url, headers=_headers(transfer, sink)) as response:
            sink.requests += 1
            _begin(response, sink)
            async for chunk in response.aiter_bytes(_CHUNK):
                sink.take(chunk)
                if transfer.bytes_per_s:
                    await asyncio.sleep(len(chunk) / transfer.bytes_per_s)
                if break_after is not None and sink.length >= break_after:
                    raise _Broken(f"the transfer broke after {sink.length} bytes")
        if sink.total is None:
            sink.total = sink.length


def _headers(transfer: Transfer, sink: _Sink) -> dict[str, str]:
    if transfer.piece is None and not sink.length:
        return {}
    last = "" if transfer.piece is None else str(sink.length + transfer.piece - 1)
    headers = {"Range": f"bytes={sink.length}-{last}"}
    if sink.etag and sink.length:
        headers["If-Range"] = sink.etag
    return headers


def _begin(response: httpx2.Response, sink: _Sink) -> None:
    """Make the sink fit what the server is about to send."""
    if response.status_code == _OK:
        sink.restart()
        length = response.headers.get("content-length")
        sink.expect(int(length) if length else None)
    elif response.status_code == _PARTIAL:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if not found or int(found[1]) != sink.length:
            raise _Broken("the server sent another range than asked for")
        sink.expect(int(found[3]))
    else:
        raise _Broken(f"the server answered {response.status_code}")
    sink.etag = response.headers.get("etag")
