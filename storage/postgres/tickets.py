"""Download tickets, by the hash of their secret."""

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.charger import DownloadTicket
from storage.postgres.engine import reading
from storage.postgres.prepared import Prepared
from storage.postgres.tables import download_ticket

_COLUMNS = download_ticket.c
_ADD = Prepared(insert(download_ticket))
_REVOKE = Prepared(
    update(download_ticket)
    .where(_COLUMNS.charger_id == bindparam("of"), ~_COLUMNS.revoked)
    .values(revoked=True)
    .returning(_COLUMNS.charger_id)
)


class PostgresTicketStore:
    """Whether a ticket holds now is the reader's judgement; the store only keeps it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, ticket: DownloadTicket) -> None:
        """Raise Conflict if the secret was used before."""
        await _ADD.rows(
            self._engine,
            ticket_sha256=ticket.ticket_sha256,
            charger_id=ticket.charger_id,
            artifact_sha256=ticket.artifact_sha256,
            not_before=ticket.not_before,
            expires_at=ticket.expires_at,
            revoked=ticket.revoked,
            certificates=list(ticket.certificates),
        )

    async def find(self, ticket_sha256: str) -> DownloadTicket | None:
        """Also expired and revoked ones."""
        query = select(download_ticket).where(download_ticket.c.ticket_sha256 == ticket_sha256)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return DownloadTicket(
            ticket_sha256=row.ticket_sha256,
            charger_id=row.charger_id,
            artifact_sha256=row.artifact_sha256,
            not_before=row.not_before,
            expires_at=row.expires_at,
            revoked=row.revoked,
            certificates=tuple(row.certificates),
        )

    async def revoke_for(self, charger_id: str) -> int:
        """Revoke all tickets of a charger; returns how many were still good."""
        return len(await _REVOKE.rows(self._engine, of=charger_id))
