"""PUT and POST /u/{ticket}: how chargers hand in logs. No token: the ticket is the leave, known by its hash.

Raw or as a form, with or without a file name behind the ticket: chargers do all of it. The body streams to
the object store in constant memory, hashed as it was read. It counts once it is on record under the ticket,
which the first one wins; of what broke off or came second nothing stays (S43, F77).
"""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from api.downloads import TICKET, check_window
from api.errors import TicketGone, TooLarge, TooManyUploads
from api.forms import FormFile
from api.guard import Services, metrics_of
from api.ports import ApiServices
from storage.canonical import sha256_hex
from storage.errors import AmpwaveError, Conflict, InvalidInput, NotFound
from storage.log import LOG_PREFIX, LogRequest, LogUpload, UploadTicket

router = APIRouter(tags=["logs"])
_log = structlog.get_logger("api.log_uploads")
_UNFIT = re.compile(r"[^A-Za-z0-9._\-]+")
_NAME_CHARS = 100


PER_LOG = 2
"""Uploads of one log at once: one that broke off unnoticed, and its repeat. More would be one charger on
all seats."""


class UploadSeats:
    """At most so many uploads at once in this process, for each holds a few megabytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[int] = Counter()

    @property
    def taken(self) -> int:
        """How many run."""
        return self._taken.total()

    @contextmanager
    def seated(self, request_id: int) -> Iterator[None]:
        """A seat for one upload of this log. Raises TooManyUploads."""
        if self.taken >= self._limit:
            raise TooManyUploads(self._limit)
        if self._taken[request_id] >= PER_LOG:
            raise TooManyUploads(PER_LOG, of_one=True)
        self._taken[request_id] += 1
        try:
            yield
        finally:
            self._taken[request_id] -= 1
            if not self._taken[request_id]:
                del self._taken[request_id]


@router.api_route("/u/{ticket}", methods=["PUT", "POST"], include_in_schema=False)
@router.api_route("/u/{ticket}/{filename:path}", methods=["PUT", "POST"], include_in_schema=False)
async def take_log(request: Request, services: Services, ticket: str, filename: str = "") -> Response:
    """Take in the log behind a ticket."""
    found, wanted = await _wanted(services, ticket)
    seats: UploadSeats = request.app.state.log_seats
    with seats.seated(wanted.request_id):
        upload = await _Intake(services, request, found, wanted).take(filename)
    metrics_of(request).log_bytes.inc(upload.length)
    with suppress(AmpwaveError):  # A hint: whoever waits looks by himself, too.
        await services.orchestrator.log_arrived(wanted.charger_id, wanted.request_id)
    said = {"filename": upload.filename, "length": upload.length, "sha256": upload.sha256}
    return JSONResponse(said, 201)


async def _wanted(services: ApiServices, text: str) -> tuple[UploadTicket, LogRequest]:
    shaped = TICKET.fullmatch(text) is not None
    ticket = await services.logs.ticket(sha256_hex(text.encode())) if shaped else None
    if ticket is None:
        raise NotFound("ticket", "...", hint="The command that brought it may belong elsewhere.")
    wanted = await services.logs.get(ticket.request_id)
    if wanted.upload is not None:
        raise Conflict("This ticket was used: its log is here already.", hint="Ask for another log.")
    check_window(ticket, services.clock())
    return ticket, wanted


class _Intake:
    """One upload from the wire to the store."""

    def __init__(
        self, services: ApiServices, request: Request, ticket: UploadTicket, wanted: LogRequest
    ) -> None:
        self._services = services
        self._request = request
        self._ticket = ticket
        self._wanted = wanted
        self._key = f"{LOG_PREFIX}{wanted.request_id}/{services.new_id()}"
        self._hash = hashlib.sha256()
        self._length = 0
        self._form = FormFile.of(request.headers.get("content-type", ""))

    async def take(self, filename: str) -> LogUpload:
        services, limits = self._services, self._services.limits
        declared = self._request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limits.log_bytes + FormFile.OVERHEAD:
            raise TooLarge(limits.log_bytes)
        try:
            async with asyncio.timeout(limits.log_seconds):
                await services.blobs.put_new(self._key, self._measured(limits.log_bytes))
        except ClientDisconnect:
            raise InvalidInput("The upload broke off; nothing of it was kept.") from None
        except TimeoutError:
            raise InvalidInput(f"The upload took longer than {limits.log_seconds:g} s.") from None
        try:
            return await self._recorded(filename)
        except BaseException:
            await asyncio.shield(self._drop())
            raise

    async def _recorded(self, filename: str) -> LogUpload:
        upload = LogUpload(
            request_id=self._wanted.request_id,
            object_key=self._key,
            filename=self._name(filename),
            length=self._length,
            sha256=self._hash.hexdigest(),
            received_at=self._services.clock(),
        )
        if not await self._services.logs.add_upload(upload, self._ticket.ticket_sha256):
            raise TicketGone("was used or revoked while this upload ran")
        return upload

    def _name(self, filename: str) -> str:
        """The last part of what the charger called it, in characters that no shell or browser minds."""
        given = filename or (self._form.filename if self._form else "")
        name = _UNFIT.sub("_", re.split(r"[/\\]", given)[-1])[-_NAME_CHARS:].strip("._-")
        return name or f"{self._wanted.kind.value}-{self._wanted.request_id}.log"

    async def _drop(self) -> None:
        try:
            await self._services.blobs.delete(self._key)
        except AmpwaveError:
            _log.warning("an object that nothing refers to was left behind", key=self._key)

    async def _measured(self, limit: int) -> AsyncIterator[bytes]:
        """What was read, hashed and counted; raises where it is too long, cut off or empty."""
        async for chunk in self._chunks():
            self._length += len(chunk)
            if self._length > limit:
                raise TooLarge(limit)
            self._hash.update(chunk)
            yield chunk
        if self._form is not None:
            self._form.close()
        if self._length == 0:
            raise InvalidInput("The upload is empty; nothing was kept.")

    async def _chunks(self) -> AsyncIterator[bytes]:
        async for data in self._request.stream():
            if self._form is None:
                yield data
                continue
            for piece in self._form.feed(data):
                yield piece
