"""The ground of a bench: a durable PostgreSQL as ``up`` runs it, and a registered fleet in it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from api.embedded import EmbeddedPostgres
from csms.secrets import hash_secret
from storage.postgres.migrate import upgrade
from tests.benchmarks.fleet import name_of
from tests.benchmarks.messages import FIRMWARE, MODEL, VENDOR

PEPPER = b"bench-pepper-bench-pepper-bench-"
PASSWORD = "a-password-of-a-bench"

_REGISTER = (
    "INSERT INTO site (site_id, name, time_zone, max_down) VALUES ('bench', 'Bench', 'UTC', 10)",
    f"""
    INSERT INTO charger (charger_id, site_id, vendor, model, lifecycle, registered_at)
    SELECT name, 'bench', '{VENDOR}', '{MODEL}', 'active', now() FROM unnest($1::text[]) AS name
    """,
    """
    INSERT INTO charger_credential (charger_id, secret_hmac, created_at)
    SELECT name, $2, now() FROM unnest($1::text[]) AS name
    """,
    "INSERT INTO twin (charger_id) SELECT name FROM unnest($1::text[]) AS name",
    "ANALYZE",
)


@dataclass(frozen=True)
class World:
    """The database server, and how many chargers and messages the rows may use."""

    server: EmbeddedPostgres
    folder: Path
    seed: int
    quick: bool
    chargers: int | None = None
    """The size of a fleet that somebody asked for."""
    campaigns: int | None = None
    """The same of their number."""
    minutes: int | None = None
    """After so long a run that would take hours is ended."""

    def sized(self, full: int, quick: int) -> int:
        """A number of the real run, or of a smoke test that only shows that the bench works."""
        return quick if self.quick else full

    @asynccontextmanager
    async def database(self, chargers: int) -> AsyncIterator[str]:
        """The URL of a fresh database with so many registered chargers."""
        name = f"bench_{secrets.token_hex(4)}"
        await execute(self.server.url, f"CREATE DATABASE {name}")
        url = self.server.url_of(name)
        try:
            await upgrade(url)
            await _register(url, chargers)
            yield url
        finally:
            await execute(self.server.url, f"DROP DATABASE {name} WITH (FORCE)")


async def _register(url: str, count: int) -> None:
    names = [name_of(number) for number in range(count)]
    given = (names, hash_secret(PEPPER, PASSWORD))
    connection = await asyncpg.connect(url)
    try:
        for statement in _REGISTER:
            await connection.execute(statement, *given[: _parameters(statement)])
    finally:
        await connection.close()


def _parameters(statement: str) -> int:
    return sum(f"${number}" in statement for number in (1, 2))


async def execute(url: str, statement: str) -> None:
    """One statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def value(url: str, query: str, *arguments: object) -> object:
    """The first column of the first row."""
    connection = await asyncpg.connect(url, command_timeout=300)
    try:
        found: object = await connection.fetchval(query, *arguments)
        return found
    finally:
        await connection.close()


__all__ = ["FIRMWARE", "PASSWORD", "PEPPER", "World", "execute", "value"]
