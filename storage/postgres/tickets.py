"""Download tickets, by the hash of their secret."""

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.charger import DownloadTicket
from storage.postgres.engine import reading, writing
from storage.postgres.tables import download_ticket


class PostgresTicketStore:
    """Whether a ticket holds now is the reader's judgement; the store only keeps it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, ticket: DownloadTicket) -> None:
        """Raise Conflict if the secret was used before."""
        statement = insert(download_ticket).values(
            ticket_sha256=ticket.ticket_sha256,
            charger_id=ticket.charger_id,
            artifact_sha256=ticket.artifact_sha256,
            not_before=ticket.not_before,
            expires_at=ticket.expires_at,
            revoked=ticket.revoked,
            certificates=list(ticket.certificates),
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement)

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
        statement = (
            update(download_ticket)
            .where(download_ticket.c.charger_id == charger_id, ~download_ticket.c.revoked)
            .values(revoked=True)
        )
        async with writing(self._engine) as connection:
            return (await connection.execute(statement)).rowcount
