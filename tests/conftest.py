"""Real engines for the tests: started once per run, on free ports, only when a test asks for them.

What they need is imported inside the fixtures: a unit test pays for none of it.
"""

import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from temporalio.client import Client

    from api.embedded import EmbeddedPostgres, EmbeddedS3, EmbeddedTemporal

TEMPLATE = "ampwave_template"

# A run in the background of a shell ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline would be a timed assertion: on a busy machine it fails without a defect.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
async def embedded_postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["EmbeddedPostgres"]:
    from api.embedded import EmbeddedPostgres

    async with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False) as engine:
        yield engine


@pytest.fixture(scope="session")
def postgres_url(embedded_postgres: "EmbeddedPostgres") -> str:
    """The server; nobody writes to the database this names."""
    return embedded_postgres.url


@pytest.fixture(scope="session")
async def _migrated_template(embedded_postgres: "EmbeddedPostgres") -> str:
    """Migrated once; each test's database is a copy of it, which takes milliseconds."""
    from storage.postgres.migrate import upgrade

    await _execute(embedded_postgres.url, f"CREATE DATABASE {TEMPLATE}")
    await upgrade(embedded_postgres.url_of(TEMPLATE))
    return TEMPLATE


@pytest.fixture
async def database(embedded_postgres: "EmbeddedPostgres", _migrated_template: str) -> AsyncIterator[str]:
    """The URL of a fresh database with all tables, for this test alone."""
    async with _fresh_database(embedded_postgres, f"TEMPLATE {_migrated_template}") as url:
        yield url


@pytest.fixture
async def empty_database(embedded_postgres: "EmbeddedPostgres") -> AsyncIterator[str]:
    """The URL of a fresh database without any table, for this test alone."""
    async with _fresh_database(embedded_postgres, "") as url:
        yield url


@asynccontextmanager
async def _fresh_database(engine: "EmbeddedPostgres", options: str) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    await _execute(engine.url, f"CREATE DATABASE {name} {options}")
    try:
        yield engine.url_of(name)
    finally:
        await _execute(engine.url, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(url: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How to reach an S3 server and one bucket there."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str


@pytest.fixture(scope="session")
async def embedded_s3(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["EmbeddedS3"]:
    from api.embedded import EmbeddedS3

    async with EmbeddedS3(tmp_path_factory.mktemp("s3")) as engine:
        yield engine


@pytest.fixture
def s3_settings(embedded_s3: "EmbeddedS3") -> Iterator[S3Settings]:
    """A fresh bucket for this test alone.

    It is given back: SeaweedFS keeps a volume for each, and has no more of them than the disk has GiB free.
    """
    import boto3
    from botocore.exceptions import ClientError

    bucket = f"test-{secrets.token_hex(6)}"
    client = boto3.client(
        "s3",
        endpoint_url=embedded_s3.endpoint,
        region_name=embedded_s3.region,
        aws_access_key_id=embedded_s3.access_key,
        aws_secret_access_key=embedded_s3.secret_key,
    )
    client.create_bucket(Bucket=bucket)
    yield S3Settings(
        embedded_s3.endpoint, embedded_s3.access_key, embedded_s3.secret_key, bucket, embedded_s3.region
    )
    with suppress(ClientError):  # what a test locked or removed itself stays so
        client.delete_bucket(Bucket=bucket)
    client.close()


@pytest.fixture(scope="session")
async def embedded_temporal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["EmbeddedTemporal"]:
    from api.embedded import EmbeddedTemporal

    async with EmbeddedTemporal(tmp_path_factory.mktemp("temporal")) as engine:
        yield engine


@pytest.fixture(scope="session")
async def temporal_client(embedded_temporal: "EmbeddedTemporal") -> "Client":
    """A plain client of the embedded server: tests use ids and task queues of their own."""
    from temporalio.client import Client

    return await Client.connect(embedded_temporal.address, namespace=embedded_temporal.namespace)
