"""Uploads in pieces, and how far chargers got with their downloads."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, TEXT, TIMESTAMP, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.charger import DownloadTicket
from storage.errors import NotFound
from storage.postgres.engine import reading, transaction
from storage.postgres.halts import not_halted
from storage.postgres.tables import artifact_upload, artifact_upload_piece, download, download_ticket
from storage.postgres.withdrawals import image_subject, none_withdrawn, not_withdrawn
from storage.transfer import Download, Fetch, Piece, Upload

_COLUMNS: dict[str, Any] = {
    "ticket": TEXT,
    "length": BIGINT,
    "position": BIGINT,
    "sent": BIGINT,
    "requests": BIGINT,
    "address": TEXT,
    "at": TIMESTAMP(timezone=True),
}
# Sorted by ticket, so that two processes that note the same ones never wait for each other in a ring.
_NOTE = text("""
    INSERT INTO download AS d
        (ticket_sha256, length, position, sent, requests, address, started_at, seen_at, finished_at)
    SELECT t.ticket_sha256, g.length, g.position, g.sent, g.requests, g.address, g.at, g.at,
           CASE WHEN g.position >= g.length AND g.sent >= g.length THEN g.at END
    FROM unnest(:ticket, :length, :position, :sent, :requests, :address, :at)
         AS g(ticket, length, position, sent, requests, address, at)
    JOIN download_ticket t ON t.ticket_sha256 = g.ticket
    ORDER BY t.ticket_sha256
    ON CONFLICT (ticket_sha256) DO UPDATE SET
        position = excluded.position,
        sent = d.sent + excluded.sent,
        requests = d.requests + excluded.requests,
        address = excluded.address,
        seen_at = greatest(d.seen_at, excluded.seen_at),
        finished_at = coalesce(
            d.finished_at,
            CASE WHEN excluded.position >= d.length AND d.sent + excluded.sent >= d.length
                 THEN excluded.seen_at END)
""").bindparams(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _COLUMNS.items()))


class PostgresUploadStore:
    """See ``storage.transfer.UploadStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, upload: Upload) -> Upload:
        """The same image from the same person goes on where it broke off."""
        columns = artifact_upload.c
        statement = insert(artifact_upload).values(
            upload_id=upload.upload_id,
            actor=upload.actor,
            length=upload.length,
            sha256=upload.sha256,
            created_at=upload.created_at,
            expires_at=upload.expires_at,
        )
        statement = statement.on_conflict_do_update(
            index_elements=["actor", "sha256", "length"], set_={"expires_at": upload.expires_at}
        )
        async with transaction(self._engine) as connection:
            row = (await connection.execute(statement.returning(columns.upload_id))).one()
            return await _upload(connection, row.upload_id)

    async def get(self, upload_id: str) -> Upload:
        """Raise NotFound."""
        async with reading(self._engine) as connection:
            return await _upload(connection, upload_id)

    async def add_piece(self, upload_id: str, piece: Piece) -> bool:
        """Under the upload's lock, so that of two senders at once one goes on and the other learns it."""
        columns = artifact_upload.c
        lock = select(columns.length).where(columns.upload_id == upload_id).with_for_update()
        async with transaction(self._engine) as connection:
            if (await connection.execute(lock)).one_or_none() is None:
                return False
            upload = await _upload(connection, upload_id)
            if piece.first != upload.offset or piece.first + piece.length > upload.length:
                return False
            values = {"first": piece.first, "length": piece.length, "object_key": piece.object_key}
            await connection.execute(insert(artifact_upload_piece).values(upload_id=upload_id, **values))
            return True

    async def drop(self, upload_id: str) -> None:
        """Its pieces go with it."""
        statement = delete(artifact_upload).where(artifact_upload.c.upload_id == upload_id)
        async with transaction(self._engine) as connection:
            await connection.execute(statement)

    async def expired(self, now: datetime, *, limit: int = 100) -> Sequence[Upload]:
        """Oldest first."""
        columns = artifact_upload.c
        query = select(columns.upload_id).where(columns.expires_at <= now).order_by(columns.expires_at)
        async with reading(self._engine) as connection:
            ids = (await connection.execute(query.limit(limit))).scalars().all()
            return [await _upload(connection, upload_id) for upload_id in ids]

    async def live(self, upload_ids: Collection[str]) -> frozenset[str]:
        """In one query."""
        query = select(artifact_upload.c.upload_id).where(artifact_upload.c.upload_id.in_(list(upload_ids)))
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(query)).scalars())


async def _upload(connection: AsyncConnection, upload_id: str) -> Upload:
    query = select(artifact_upload).where(artifact_upload.c.upload_id == upload_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("upload", upload_id, hint="It was finished or given up; begin a new one.")
    columns = artifact_upload_piece.c
    query = select(columns.first, columns.length, columns.object_key)
    query = query.where(columns.upload_id == upload_id).order_by(columns.first)
    pieces = tuple(Piece(*found) for found in await connection.execute(query))
    return Upload(
        row.upload_id, row.actor, row.length, row.sha256, row.created_at, row.expires_at, pieces=pieces
    )


class PostgresDownloadStore:
    """See ``storage.transfer.DownloadStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def note(self, fetches: Sequence[Fetch]) -> frozenset[str]:
        """Two statements, however many there are."""
        if not fetches:
            return frozenset()
        tickets = [each.ticket_sha256 for each in fetches]
        values = {
            "ticket": tickets,
            "length": [each.length for each in fetches],
            "position": [each.position for each in fetches],
            "sent": [each.sent for each in fetches],
            "requests": [each.requests for each in fetches],
            "address": [each.address for each in fetches],
            "at": [each.at for each in fetches],
        }
        now = max(each.at for each in fetches)
        columns = download_ticket.c
        holding = select(columns.ticket_sha256).where(
            columns.ticket_sha256.in_(tickets),
            ~columns.revoked,
            columns.expires_at > now,
            not_halted(),
            not_withdrawn((image_subject(columns.artifact_sha256),)),
            none_withdrawn(columns.certificates),
        )
        async with transaction(self._engine) as connection:
            await connection.execute(_NOTE, values)
            good = frozenset((await connection.execute(holding)).scalars())
        return frozenset(tickets) - good

    async def of_ticket(self, ticket_sha256: str) -> Download | None:
        """With its ticket, in one query."""
        found = await self._find(download_ticket.c.ticket_sha256 == ticket_sha256, 1)
        return found[0] if found else None

    async def of_charger(self, charger_id: str, *, limit: int = 20) -> Sequence[Download]:
        """Latest ticket first."""
        return await self._find(download_ticket.c.charger_id == charger_id, limit)

    async def _find(self, where: Any, limit: int) -> list[Download]:
        joined = download_ticket.outerjoin(
            download, download.c.ticket_sha256 == download_ticket.c.ticket_sha256
        )
        seen = [column for column in download.c if column.name != "ticket_sha256"]
        query = select(download_ticket, *seen).select_from(joined).where(where)
        query = query.order_by(download_ticket.c.not_before.desc(), download_ticket.c.ticket_sha256)
        async with reading(self._engine) as connection:
            return [_download(row) for row in await connection.execute(query.limit(limit))]


def _download(row: Row[tuple[Any, ...]]) -> Download:
    ticket = DownloadTicket(
        ticket_sha256=row.ticket_sha256,
        charger_id=row.charger_id,
        artifact_sha256=row.artifact_sha256,
        not_before=row.not_before,
        expires_at=row.expires_at,
        revoked=row.revoked,
        certificates=tuple(row.certificates),
    )
    if row.started_at is None:
        return Download(ticket)
    return Download(
        ticket,
        length=row.length,
        position=row.position,
        sent=row.sent,
        requests=row.requests,
        address=row.address,
        started_at=row.started_at,
        seen_at=row.seen_at,
        finished_at=row.finished_at,
    )
