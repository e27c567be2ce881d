"""Requests for logs, leave to upload them, and what arrived."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Text, any_, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.errors import NotFound
from storage.log import LOG_OPEN, LogRequest, LogSort, LogState, LogUpload, UploadTicket
from storage.postgres.engine import reading, transaction
from storage.postgres.tables import log_request, log_upload, upload_ticket

_COLUMNS = log_request.c
_UPLOAD = log_upload.c
_OPEN = tuple(state.value for state in LOG_OPEN)


class PostgresLogStore:
    """Whether a ticket holds now is the reader's judgement; the store only keeps it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(self, request: LogRequest) -> LogRequest:
        """Write it down; if its key is there already, the request under it stands and is returned."""
        statement = insert(log_request).values(
            request_id=request.request_id,
            charger_id=request.charger_id,
            kind=request.kind.value,
            actor=request.actor,
            requested_at=request.requested_at,
            deadline_at=request.deadline_at,
            since=request.since,
            until=request.until,
            request_key=request.request_key,
            state=request.state.value,
            reason=request.reason,
        )
        query = _requests().where(_COLUMNS.request_id == request.request_id)
        if request.request_key is not None:
            query = _requests().where(_COLUMNS.request_key == request.request_key)
        async with transaction(self._engine) as connection:
            await connection.execute(statement.on_conflict_do_nothing(index_elements=["request_key"]))
            return _request((await connection.execute(query)).one())

    async def get(self, request_id: int) -> LogRequest:
        """Raise NotFound."""
        async with reading(self._engine) as connection:
            row = (
                await connection.execute(_requests().where(_COLUMNS.request_id == request_id))
            ).one_or_none()
        if row is None:
            raise NotFound("log", str(request_id))
        return _request(row)

    async def latest(self, charger_id: str, *, limit: int = 20) -> Sequence[LogRequest]:
        """Newest first."""
        query = (
            _requests()
            .where(_COLUMNS.charger_id == charger_id)
            .order_by(_COLUMNS.requested_at.desc(), _COLUMNS.request_id.desc())
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [_request(row) for row in await connection.execute(query)]

    async def set_state(self, request_id: int, state: LogState, reason: str, at: datetime | None) -> bool:
        """Move a request that has not ended; ``at`` is its end, None: it goes on. Whether it moved."""
        statement = (
            update(log_request)
            .where(_COLUMNS.request_id == request_id, _COLUMNS.state.in_(_OPEN))
            .values(state=state.value, reason=reason, finished_at=at)
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def add_ticket(self, ticket: UploadTicket) -> None:
        """Raise Conflict if the secret was used before."""
        statement = insert(upload_ticket).values(
            ticket_sha256=ticket.ticket_sha256,
            charger_id=ticket.charger_id,
            request_id=ticket.request_id,
            not_before=ticket.not_before,
            expires_at=ticket.expires_at,
            revoked=ticket.revoked,
        )
        async with transaction(self._engine) as connection:
            await connection.execute(statement)

    async def ticket(self, ticket_sha256: str) -> UploadTicket | None:
        """Also expired and revoked ones."""
        query = select(upload_ticket).where(upload_ticket.c.ticket_sha256 == ticket_sha256)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return UploadTicket(*row) if row else None

    async def revoke(self, request_id: int) -> int:
        """Take back all leave for a request; how many tickets were still good."""
        columns = upload_ticket.c
        statement = (
            update(upload_ticket)
            .where(columns.request_id == request_id, ~columns.revoked)
            .values(revoked=True)
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount

    async def add_upload(self, upload: LogUpload, ticket_sha256: str) -> bool:
        """The first upload of a request stands. False: it has one, or the ticket was revoked meanwhile."""
        columns = upload_ticket.c
        # Locked, so that no ticket is taken back between the look and the row.
        good = (
            select(columns.ticket_sha256)
            .where(columns.ticket_sha256 == ticket_sha256, ~columns.revoked)
            .with_for_update()
        )
        statement = insert(log_upload).values(
            request_id=upload.request_id,
            object_key=upload.object_key,
            filename=upload.filename,
            length=upload.length,
            sha256=upload.sha256,
            received_at=upload.received_at,
        )
        async with transaction(self._engine) as connection:
            if (await connection.execute(good)).one_or_none() is None:
                return False
            added = await connection.execute(statement.on_conflict_do_nothing(index_elements=["request_id"]))
            return added.rowcount == 1

    async def outlived(self, before: datetime, *, limit: int) -> Sequence[LogRequest]:
        """Those with bytes that arrived before then, oldest first."""
        query = (
            _requests()
            .where(_UPLOAD.removed_at.is_(None), _UPLOAD.received_at < before)
            .order_by(_UPLOAD.received_at)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [_request(row) for row in await connection.execute(query)]

    async def set_removed(self, request_id: int, at: datetime) -> bool:
        """The bytes of its upload are to go; whether they were still there."""
        statement = (
            update(log_upload)
            .where(_UPLOAD.request_id == request_id, _UPLOAD.removed_at.is_(None))
            .values(removed_at=at)
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def kept_objects(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of these object keys that an upload still refers to."""
        given = any_(literal(list(keys), ARRAY(Text)))
        query = select(_UPLOAD.object_key).where(_UPLOAD.object_key == given, _UPLOAD.removed_at.is_(None))
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(query)).scalars())


def _requests() -> Select[Any]:
    return select(
        log_request,
        *(_UPLOAD.object_key, _UPLOAD.filename, _UPLOAD.length, _UPLOAD.sha256),
        *(_UPLOAD.received_at, _UPLOAD.removed_at),
    ).outerjoin(log_upload, _UPLOAD.request_id == _COLUMNS.request_id)


def _request(row: Row[*tuple[Any, ...]]) -> LogRequest:
    upload = None
    if row.object_key is not None:
        upload = LogUpload(
            row.request_id,
            row.object_key,
            row.filename,
            row.length,
            row.sha256,
            row.received_at,
            row.removed_at,
        )
    return LogRequest(
        request_id=row.request_id,
        charger_id=row.charger_id,
        kind=LogSort(row.kind),
        actor=row.actor,
        requested_at=row.requested_at,
        deadline_at=row.deadline_at,
        since=row.since,
        until=row.until,
        request_key=row.request_key,
        state=LogState(row.state),
        reason=row.reason,
        finished_at=row.finished_at,
        upload=upload,
    )
