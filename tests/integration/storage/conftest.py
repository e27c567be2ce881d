"""A fleet of three registered chargers on two sites, in a database of its own for each test."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import delete, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.embedded import EmbeddedPostgres
from storage.audit import GENESIS
from storage.charger import Charger, Site
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.tables import audit_head, metadata
from storage.s3 import S3BlobStore
from tests.conftest import _fresh_database as fresh_database

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="module")
async def database(embedded_postgres: EmbeddedPostgres, _migrated_template: str) -> AsyncIterator[str]:
    """One database per module, emptied before each test: a third of the time of one per test."""
    async with fresh_database(embedded_postgres, f"TEMPLATE {_migrated_template}") as url:
        yield url


@pytest.fixture(scope="module")
async def pool(database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database, pool_size=20, max_overflow=20)
    yield engine
    await engine.dispose()


@pytest.fixture
async def engine(pool: AsyncEngine) -> AsyncEngine:
    async with pool.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in metadata.tables.values():
            await connection.execute(delete(table))
        await connection.execute(insert(audit_head).values(number=0, row_hash=GENESIS))
    return pool


@dataclass(frozen=True)
class Sql:
    """Looking and meddling behind the stores' backs."""

    url: str

    async def __call__(self, statement: str, *args: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(statement, *args)
        finally:
            await connection.close()

    async def value(self, statement: str, *args: object) -> object:
        return (await self(statement, *args))[0][0]

    async def until(self, condition: str) -> None:
        """Wait until the server says that it is so."""
        async with asyncio.timeout(20):
            while not await self.value(condition):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)


@pytest.fixture
def sql(database: str) -> Sql:
    return Sql(database)


@pytest.fixture
async def chargers(engine: AsyncEngine) -> PostgresChargerStore:
    """Sites s1 (one may be down) and s2 (three may); A and B at s1, C at s2."""
    store = PostgresChargerStore(engine)
    await store.put_site(Site("s1", "Depot", "Europe/Berlin", 1))
    await store.put_site(Site("s2", "Mall", "Europe/Berlin", 3))
    for charger_id, site_id in (("A", "s1"), ("B", "s1"), ("C", "s2")):
        await store.register(Charger(charger_id, site_id, "Volt", "V2"), None)
    return store


@pytest.fixture
async def blobs(s3_settings) -> AsyncIterator[S3BlobStore]:
    store = S3BlobStore(
        bucket=s3_settings.bucket,
        endpoint=s3_settings.endpoint,
        region=s3_settings.region,
        access_key=s3_settings.access_key,
        secret_key=s3_settings.secret_key,
    )
    yield store
    store.close()


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats outside a worker go nowhere."""
    monkeypatch.setattr("temporalio.activity.heartbeat", lambda *_: None)
