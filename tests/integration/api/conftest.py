"""The api over real PostgreSQL and S3; only Temporal is a double, which its own tests prove."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.auth import mint_token
from api.ports import ApiServices
from storage.access import Principal, Role
from storage.clock import system_clock
from storage.postgres.engine import create_engine
from storage.postgres.ingest import PostgresIngestStore
from storage.s3 import S3BlobStore
from tests.conftest import S3Settings
from tests.support.deployment import services_over
from tests.support.house import BASE
from tests.support.memory_campaigns import MemoryOrchestrator


@dataclass
class Deployment:
    """The app, the stores that a test looks into, and an administrator's token."""

    app: FastAPI
    services: ApiServices
    ingest: PostgresIngestStore
    orchestrator: MemoryOrchestrator
    text: str

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app),
            base_url=BASE,
            headers={"Authorization": f"Bearer {self.text}"},
        )


@pytest.fixture
async def deployment(database: str, s3_settings: S3Settings) -> AsyncIterator[Deployment]:
    engine = create_engine(database)
    blobs = S3BlobStore(
        endpoint=s3_settings.endpoint,
        bucket=s3_settings.bucket,
        region=s3_settings.region,
        access_key=s3_settings.access_key,
        secret_key=s3_settings.secret_key,
    )
    services, orchestrator = services_over(engine, blobs)
    text, token = mint_token(
        Principal("admin", Role.ADMIN),
        now=system_clock(),
        expires_at=None,
        token_id="t1",
        random_bytes=secrets.token_bytes,
    )
    await services.tokens.add(token)
    yield Deployment(create_app(services), services, PostgresIngestStore(engine), orchestrator, text)
    blobs.close()
    await engine.dispose()


@asynccontextmanager
async def served(deployment: Deployment) -> AsyncIterator[str]:
    """The app on a socket of its own, as streams need it."""
    config = uvicorn.Config(
        deployment.app, port=0, log_level="warning", timeout_graceful_shutdown=1, lifespan="off"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110 - uvicorn announces it nowhere else
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
