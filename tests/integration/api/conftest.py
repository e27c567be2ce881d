"""The api over real PostgreSQL and S3; only Temporal is a double, which its own tests prove."""

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.auth import mint_token
from api.ports import ApiServices
from csms.projection import project
from storage.access import Principal, Role
from storage.clock import system_clock
from storage.postgres.artifacts import PostgresArtifactStore
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.commands import PostgresCommandStore
from storage.postgres.engine import create_engine
from storage.postgres.events import PostgresEventStore
from storage.postgres.halts import PostgresHaltStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.learned import PostgresLearnedStore
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.logs import PostgresLogStore
from storage.postgres.privacy import PostgresPrivacyStore
from storage.postgres.registry import PostgresRegistryStore
from storage.postgres.tickets import PostgresTicketStore
from storage.postgres.tokens import PostgresTokenStore
from storage.postgres.twins import PostgresTwinStore
from storage.postgres.watching import watch_stores
from storage.s3 import S3BlobStore
from tests.conftest import S3Settings
from tests.support.house import BASE, no_decoding
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
    campaigns, artifacts = PostgresCampaignStore(engine), PostgresArtifactStore(engine)
    orchestrator = MemoryOrchestrator(campaigns, artifacts)  # type: ignore[arg-type]  # it reads and moves only
    services = ApiServices(
        chargers=PostgresChargerStore(engine),
        campaigns=campaigns,
        artifacts=artifacts,
        events=PostgresEventStore(engine),
        tokens=PostgresTokenStore(engine),
        tickets=PostgresTicketStore(engine),
        leases=PostgresLeaseStore(engine),
        commands=PostgresCommandStore(engine),
        logs=PostgresLogStore(engine),
        learned=PostgresLearnedStore(engine),
        twins=PostgresTwinStore(engine, project),
        registry=PostgresRegistryStore(engine),
        privacy=PostgresPrivacyStore(engine),
        ingest=PostgresIngestStore(engine),
        audit=PostgresAuditLog(engine),
        blobs=blobs,
        watch=watch_stores(engine),
        halts=PostgresHaltStore(engine),
        orchestrator=orchestrator,
        clock=system_clock,
        new_id=lambda: secrets.token_hex(8),
        random_bytes=secrets.token_bytes,
        hash_charger_secret=lambda text: hmac.digest(b"pepper", text.encode(), hashlib.sha256),
        decode_payloads=no_decoding,
        session_key=secrets.token_bytes(32),
        base_url=BASE,
        readiness={"s3": blobs.ready},
    )
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
