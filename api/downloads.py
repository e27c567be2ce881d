"""GET /d/{ticket}: how chargers fetch firmware. No token: the ticket is the leave, known by its hash.

Unknown tickets are 404 like any unknown path. A known one that expired or was revoked is 410, so that a
technician at the charger sees the difference; only its holder can learn that much. Streams straight from
the object store (S30, S43), whole or one byte range (RFC 9110 section 14), which is how chargers resume.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing
from datetime import datetime, timedelta
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Send

from api.byte_ranges import ByteRange, wanted
from api.download_desk import DownloadDesk, Transfer
from api.errors import TicketElsewhere, TicketGone
from api.guard import RefusalMemory, metrics_of, services_of
from api.halts import refuse_halted
from api.metrics import ApiMetrics
from storage.audit import AuditEntry
from storage.canonical import sha256_hex
from storage.charger import DownloadTicket
from storage.errors import AmpwaveError, EngineUnavailable, NotFound
from storage.log import UploadTicket
from storage.ticket_binding import is_of
from storage.transfer import Download

router = APIRouter(tags=["downloads"])
_log = structlog.get_logger("api.downloads")

TICKET = re.compile(r"[A-Za-z0-9_\-]{16,128}")
_TICKET_PATH = re.compile(r"(/[du]/)[^\s?\"#]+")
_MEDIA_TYPE = "application/octet-stream"
_LENGTHS = 1000
_SILENT = "The store of images does not answer in time."
_CLOCK_SLACK = timedelta(minutes=5)
"""A ticket is made by a node whose clock may be so far ahead of ours; nobody knows its text before."""


def desk_of(request: Request) -> DownloadDesk:
    """This process's downloads."""
    desk: DownloadDesk = request.app.state.desk
    return desk


Desk = Annotated[DownloadDesk, Depends(desk_of)]


@router.api_route(
    "/d/{ticket}",
    methods=["GET", "HEAD"],
    include_in_schema=False,
    response_class=Response,
)
async def download(request: Request, desk: Desk, ticket: str) -> Response:
    """The object behind a ticket."""
    address = request.client.host if request.client else ""
    known = await _ticket(request, ticket, address)
    key = known.ticket.artifact_sha256
    await refuse_halted(services_of(request), known.ticket)
    length, etag = await _length(request, key), f'"{key}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-store"}
    asked = wanted(request.method, request.headers, etag, length)
    if asked.unchanged:
        return Response(status_code=304, headers=headers)
    part = asked.part or ByteRange(0, length - 1)
    headers["Content-Length"] = str(part.length)
    if asked.part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{length}"
    status = 200 if asked.part is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=_MEDIA_TYPE)
    transfer = Transfer(known.ticket, address, length, part.first, services_of(request).clock())
    if desk.throttles.by_site:
        transfer.site_id = (await services_of(request).chargers.get(known.ticket.charger_id)).charger.site_id
    return await _begun(request, transfer, part, (status, headers))


async def _begun(
    request: Request, transfer: Transfer, part: ByteRange, start: tuple[int, dict[str, str]]
) -> Response:
    """The first chunk is here before the status leaves: a store that is down is a 503, not a cut."""
    services, desk = services_of(request), desk_of(request)
    with ExitStack() as stack:
        stack.enter_context(desk.seated(transfer))
        stream = services.blobs.read(
            transfer.ticket.artifact_sha256, first=part.first, last=part.last, budget=desk.budget
        )
        try:
            async with asyncio.timeout(desk.limits.first_s):
                first = await anext(stream, b"")
        except NotFound:
            raise _missing(transfer.ticket) from None
        except TimeoutError:
            raise EngineUnavailable(_SILENT) from None
        return _Sending(_chained(first, stream), start, transfer, (request, stack.pop_all()))


async def _length(request: Request, key: str) -> int:
    """Asked of the store once: an object named by its hash never changes."""
    lengths: dict[str, int] = request.app.state.lengths
    if key not in lengths:
        try:
            async with asyncio.timeout(desk_of(request).limits.first_s):
                found = await services_of(request).blobs.length(key)
        except NotFound:
            raise EngineUnavailable("The image of this ticket is not in the store.") from None
        except TimeoutError:
            raise EngineUnavailable(_SILENT) from None
        if len(lengths) >= _LENGTHS:
            lengths.clear()
        lengths[key] = found
    return lengths[key]


def _missing(ticket: DownloadTicket) -> AmpwaveError:
    _log.error("an image that a charger was sent for is not in the store", artifact=ticket.artifact_sha256)
    return EngineUnavailable("The image of this ticket is not in the store.")


async def _ticket(request: Request, text: str, address: str) -> Download:
    services = services_of(request)
    shaped = TICKET.fullmatch(text) is not None
    known = await services.downloads.of_ticket(sha256_hex(text.encode())) if shaped else None
    if known is None or not is_of(text, known.ticket):
        raise NotFound("ticket", "...", hint="The update command that brought it may belong elsewhere.")
    try:
        check_window(known.ticket, services.clock())
        desk_of(request).check_place(known, address)
        await _check_charger(request, known.ticket, address)
    except (TicketGone, TicketElsewhere) as refused:
        metrics_of(request).refused.labels("ticket").inc()
        if known.ticket.revoked or isinstance(refused, TicketElsewhere):
            await _on_record(request, known.ticket, address, refused.message)
        raise
    return known


async def _check_charger(request: Request, ticket: DownloadTicket, address: str) -> None:
    """Where that is asked for: the address must be that of the charger's own socket."""
    services = services_of(request)
    if not services.limits.same_address:
        return
    connectivity = (await services.chargers.get(ticket.charger_id)).twin.connectivity
    if connectivity is None or connectivity.remote_address != address:
        raise TicketElsewhere("came from another address than its charger's")


async def _on_record(request: Request, ticket: DownloadTicket, address: str, why: str) -> None:
    """A security event, once a minute for each ticket and reason."""
    services, memory = services_of(request), request.app.state.refusals
    now = services.clock()
    assert isinstance(memory, RefusalMemory)  # noqa: S101 - set in create_app
    if memory.is_due((ticket.ticket_sha256, why), now):
        subject, detail = f"charger/{ticket.charger_id}", {"why": why, "address": address}
        entry = AuditEntry(now, "downloads", "security.ticket_refused", subject, detail)
        await services.audit.append(entry)


def check_window(ticket: DownloadTicket | UploadTicket, now: datetime) -> None:
    """Raise TicketGone unless the ticket holds now."""
    if ticket.revoked:
        raise TicketGone("was revoked")
    if now < ticket.not_before - _CLOCK_SLACK:
        raise TicketGone("is not valid yet")
    if now >= ticket.expires_at:
        raise TicketGone("has expired")


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    try:
        if first:
            yield first
        async for chunk in rest:
            yield chunk
    finally:
        closing = getattr(rest, "aclose", None)
        if closing is not None:
            await closing()


class _Sending(StreamingResponse):
    """Sends at the pace that is allowed, counts what really left, and ends what must end.

    A transfer that is cut lacks bytes that its Content-Length announced, so no charger takes it for whole.
    """

    media_type = _MEDIA_TYPE

    def __init__(
        self,
        stream: AsyncGenerator[bytes, None],
        start: tuple[int, dict[str, str]],
        transfer: Transfer,
        held: tuple[Request, ExitStack],
    ) -> None:
        self._stream = stream
        self._transfer = transfer
        self._request, self._seat = held
        super().__init__(stream, *start)

    async def stream_response(self, send: Send) -> None:
        """Until the last byte, the reader's end, or ours."""
        metrics, total = metrics_of(self._request), 0
        metrics.downloads.inc()
        try:
            with self._seat:
                async with aclosing(self._stream):
                    await send(
                        {
                            "type": "http.response.start",
                            "status": self.status_code,
                            "headers": self.raw_headers,
                        }
                    )
                    async for chunk in self._stream:
                        for piece in desk_of(self._request).throttles.slices(chunk):
                            await self._pass_on(piece, send)
                            total += len(piece)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except _Cut as cut:
            _log.info("download cut", charger=self._transfer.ticket.charger_id, why=str(cut), sent=total)
        except EngineUnavailable as error:
            _log.warning("download broke off at the store", why=error.message, sent=total)
        finally:
            metrics.downloads.dec()
            _count(metrics, total)

    async def _pass_on(self, chunk: bytes, send: Send) -> None:
        desk, clock = desk_of(self._request), services_of(self._request).clock
        await desk.throttles.pass_through(len(chunk), self._transfer.site_id)
        if clock() >= self._transfer.ticket.expires_at:
            self._transfer.over = "its ticket has expired"
        if self._transfer.over:
            raise _Cut(self._transfer.over)
        try:
            async with asyncio.timeout(desk.limits.stall_s):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            raise _Cut(f"it took nothing for {desk.limits.stall_s:g} s") from None
        self._transfer.moved(len(chunk), clock())


class _Cut(Exception):
    """This transfer ends before its last byte."""


def _count(metrics: ApiMetrics, total: int) -> None:
    metrics.download_bytes.inc(total)
    metrics.download_size.observe(total)


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
