"""The api's services over real PostgreSQL and S3; only Temporal is a double, which its own tests prove."""

import hashlib
import hmac
import secrets
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from api.ports import ApiLimits, ApiServices, WebhookDoor
from api.webhook_signature import webhook_secret
from api.webhook_url import WebhookRules
from csms.projection import project
from storage.clock import system_clock
from storage.postgres.artifacts import PostgresArtifactStore
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.certificates import PostgresCertificateStore
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.commands import PostgresCommandStore
from storage.postgres.events import PostgresEventStore
from storage.postgres.halts import PostgresHaltStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.learned import PostgresLearnedStore
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.logs import PostgresLogStore
from storage.postgres.notices import PostgresNoticeStore
from storage.postgres.penalties import PostgresPenaltyStore
from storage.postgres.privacy import PostgresPrivacyStore
from storage.postgres.registry import PostgresRegistryStore
from storage.postgres.renewals import PostgresRenewalStore
from storage.postgres.request_keys import PostgresRequestKeyStore
from storage.postgres.tickets import PostgresTicketStore
from storage.postgres.tokens import PostgresTokenStore
from storage.postgres.transfers import PostgresDownloadStore, PostgresUploadStore
from storage.postgres.twins import PostgresTwinStore
from storage.postgres.upkeep import PostgresUpkeepStore
from storage.postgres.watching import watch_stores
from storage.postgres.withdrawals import PostgresWithdrawalStore
from storage.s3 import S3BlobStore
from tests.support.house import BASE, no_decoding
from tests.support.memory_campaigns import MemoryOrchestrator


async def _no_roots() -> tuple[str, ...]:
    return ()


def services_over(
    engine: AsyncEngine, blobs: S3BlobStore, limits: ApiLimits | None = None
) -> tuple[ApiServices, MemoryOrchestrator]:
    """The services, and the double that stands for Temporal."""
    campaigns, artifacts = PostgresCampaignStore(engine), PostgresArtifactStore(engine)
    orchestrator = MemoryOrchestrator(campaigns, artifacts)  # type: ignore[arg-type]  # it reads and moves only
    services = ApiServices(
        chargers=PostgresChargerStore(engine),
        campaigns=campaigns,
        artifacts=artifacts,
        events=PostgresEventStore(engine),
        tokens=PostgresTokenStore(engine),
        tickets=PostgresTicketStore(engine),
        uploads=PostgresUploadStore(engine),
        downloads=PostgresDownloadStore(engine),
        leases=PostgresLeaseStore(engine),
        commands=PostgresCommandStore(engine),
        request_keys=PostgresRequestKeyStore(engine),
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
        penalties=PostgresPenaltyStore(engine),
        orchestrator=orchestrator,
        clock=system_clock,
        new_id=lambda: secrets.token_hex(8),
        random_bytes=secrets.token_bytes,
        hash_charger_secret=lambda text: hmac.digest(b"pepper", text.encode(), hashlib.sha256),
        decode_payloads=no_decoding,
        session_key=secrets.token_bytes(32),
        base_url=BASE,
        direct_registration=True,
        withdrawals=PostgresWithdrawalStore(engine),
        certificates=PostgresCertificateStore(engine),
        renewals=PostgresRenewalStore(engine),
        webhooks=WebhookDoor(PostgresNoticeStore(engine), WebhookRules(), partial(webhook_secret, bytes(32))),
        upkeep=PostgresUpkeepStore(engine),
        manufacturer_roots=_no_roots,
        readiness={"s3": blobs.ready},
        limits=limits or ApiLimits(),
    )
    return services, orchestrator
