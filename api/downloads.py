"""GET /d/{ticket}: how chargers fetch firmware. No token: the ticket is the leave, known by its hash.

Unknown tickets are 404 like any unknown path. A known one that expired or was revoked is 410, so that a
technician at the charger sees the difference; only its holder can learn that much. Streams straight from
the object store (S30, S43), whole or one byte range (RFC 9110 section 14), which is how chargers resume.
"""

import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Send

from api.errors import RangeRefused, TicketGone
from api.guard import Services, metrics_of
from api.halts import refuse_halted, until_halted
from api.metrics import ApiMetrics
from api.ports import ApiServices
from storage.canonical import sha256_hex
from storage.charger import DownloadTicket
from storage.errors import NotFound
from storage.log import UploadTicket
from storage.ticket_binding import is_of

router = APIRouter(tags=["downloads"])

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.IGNORECASE)
TICKET = re.compile(r"[A-Za-z0-9_\-]{16,128}")
_TICKET_PATH = re.compile(r"(/[du]/)[^\s?\"#]+")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """First and last byte, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Bytes in it."""
        return self.last - self.first + 1


def parse_range(header: str | None, length: int) -> ByteRange | None:
    """The one range asked for, or None to send the whole object.

    A header that is not one well-formed byte range is ignored (RFC 9110 section 14.2); a range that the
    object does not have raises RangeRefused.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        wanted = int(suffix)
        if wanted == 0 or length == 0:
            raise RangeRefused(length)
        return ByteRange(max(0, length - wanted), length - 1)
    start = int(first)
    end = min(int(last), length - 1) if last else length - 1
    if last and int(last) < start:
        return None
    if start >= length:
        raise RangeRefused(length)
    return ByteRange(start, end)


@router.api_route(
    "/d/{ticket}",
    methods=["GET", "HEAD"],
    include_in_schema=False,
    response_class=Response,
)
async def download(request: Request, services: Services, ticket: str) -> Response:
    """The object behind a ticket."""
    found = await _ticket(services, ticket)
    key = found.artifact_sha256
    await refuse_halted(services, key)
    length = await services.blobs.length(key)
    etag = f'"{key}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-store"}
    fresh = request.headers.get("if-range", etag) == etag
    part = parse_range(request.headers.get("range"), length) if fresh and request.method == "GET" else None
    status = 200 if part is None else 206
    sent = part or ByteRange(0, length - 1)
    headers["Content-Length"] = str(sent.length)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{length}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type="application/octet-stream")
    stream = until_halted(services, key, services.blobs.read(key, first=sent.first, last=sent.last))
    return _Counted(stream, status, headers, metrics_of(request))


async def _ticket(services: ApiServices, text: str) -> DownloadTicket:
    shaped = TICKET.fullmatch(text) is not None
    ticket = await services.tickets.find(sha256_hex(text.encode())) if shaped else None
    if ticket is None or not is_of(text, ticket):
        raise NotFound("ticket", "...", hint="The update command that brought it may belong elsewhere.")
    check_window(ticket, services.clock())
    return ticket


def check_window(ticket: DownloadTicket | UploadTicket, now: datetime) -> None:
    """Raise TicketGone unless the ticket holds now."""
    if ticket.revoked:
        raise TicketGone("was revoked")
    if now < ticket.not_before:
        raise TicketGone("is not valid yet")
    if now >= ticket.expires_at:
        raise TicketGone("has expired")


class _Counted(StreamingResponse):
    """Counts what really left, also when the charger breaks off."""

    media_type = "application/octet-stream"

    def __init__(
        self, stream: AsyncIterator[bytes], status: int, headers: dict[str, str], metrics: ApiMetrics
    ) -> None:
        self._counting = _count(stream, metrics)
        super().__init__(self._counting, status, headers)

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._counting):
            await super().stream_response(send)


async def _count(stream: AsyncIterator[bytes], metrics: ApiMetrics) -> AsyncGenerator[bytes, None]:
    total = 0
    try:
        async for chunk in stream:
            total += len(chunk)
            yield chunk
    finally:
        metrics.download_bytes.inc(total)
        metrics.download_size.observe(total)
        closing = getattr(stream, "aclose", None)
        if closing is not None:
            await closing()


def redact(path: str) -> str:
    """The path with a ticket's text taken out."""
    return _TICKET_PATH.sub(r"\1[ticket]", path)


class RedactTickets(logging.Filter):
    """Takes tickets out of uvicorn's access log, should anybody switch it on."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always keep the record, without the ticket."""
        if isinstance(record.args, tuple):
            record.args = tuple(redact(each) if isinstance(each, str) else each for each in record.args)
        return True
