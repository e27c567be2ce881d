"""Bearer tokens, by the hash of their secret."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.access import Principal, Role, Token
from storage.errors import Conflict
from storage.postgres.engine import reading, transaction
from storage.postgres.tables import token as token_table


class PostgresTokenStore:
    """Whether a token is good now is the reader's judgement; the store only keeps it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, token: Token) -> None:
        """Raise Conflict if the id or the secret is there already."""
        statement = insert(token_table).values(
            token_id=token.token_id,
            secret_sha256=token.secret_sha256,
            name=token.principal.name,
            role=token.principal.role.value,
            created_at=token.created_at,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
        )
        async with transaction(self._engine) as connection:
            added = await connection.execute(statement.on_conflict_do_nothing())
            if added.rowcount == 0:
                raise Conflict(f"Token {token.token_id!r} is there already.")

    async def find(self, secret_sha256: str) -> Token | None:
        """Also expired and revoked ones."""
        query = select(token_table).where(token_table.c.secret_sha256 == secret_sha256)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return _token(row) if row else None

    async def revoke(self, token_id: str, at: datetime) -> bool:
        """True the first time."""
        columns = token_table.c
        statement = (
            update(token_table)
            .where(columns.token_id == token_id, columns.revoked_at.is_(None))
            .values(revoked_at=at)
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def all(self) -> Sequence[Token]:
        """Newest first."""
        query = select(token_table).order_by(token_table.c.created_at.desc(), token_table.c.token_id)
        async with reading(self._engine) as connection:
            return [_token(row) for row in await connection.execute(query)]


def _token(row: Row[*tuple[Any, ...]]) -> Token:
    return Token(
        token_id=row.token_id,
        secret_sha256=row.secret_sha256,
        principal=Principal(row.name, Role(row.role)),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
