# long-file: the one wiring file; adapters meet here and nowhere else
"""The one wiring file: settings become stores, seals, sockets and workers here and nowhere else."""

import asyncio
import hashlib
import os
import secrets
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version

import httpx2
import structlog
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.worker import Worker

from activities.alarms import DispatchAlarms
from activities.blob_care import BlobCareActivities, CarePolicy, CareStores
from activities.bundles import BundleActivities, BundleSources
from activities.certificate_end import RevocationActivities, revoking
from activities.certificates import CertificateActivities, IssuePolicy
from activities.connection import ConnectionActivities
from activities.daily import DailyActivities
from activities.journal import JournalActivities
from activities.late_renewals import LateRenewalActivities
from activities.log_keeping import LogKeepingActivities
from activities.metadata import MetadataActivities
from activities.moves import MoveActivities
from activities.notary import NotaryActivities
from activities.orders import Node
from activities.passports import PassportActivities, PassportSources
from activities.renewal import RenewalActivities
from activities.renewals import FleetRenewalActivities, RenewalRules
from activities.reprovisioning import ReprovisionActivities
from activities.retention import RetentionActivities
from activities.stores import Stores as ActivityStores
from activities.tickets import TicketOffice
from activities.twins import DriftPolicy
from api.app import create_app
from api.charger_authority import charger_authority, former_authorities
from api.codec import AesGcmCodec, data_converter, read_key
from api.development import private_dir
from api.download_desk import DeskLimits
from api.endpoints import read_endpoints
from api.key_access import online_keys, record_keys, use_tokens
from api.node_security import client_tls_options, newcomers_of, server_tls_files
from api.ports import ApiLimits, ApiServices, ApprovalCheck, ReadinessCheck, WebhookDoor
from api.retention import retention_policy
from api.settings import Settings
from api.time_stamps import poster
from api.webhook_post import WebhookPost
from api.webhook_signature import webhook_secret
from api.webhook_url import WebhookRules
from csms.client_certificates import ClientCertificates
from csms.denials import Denials
from csms.gateway import Gateway
from csms.ingest import IngestOptions
from csms.limits import Rate
from csms.options import GatewayOptions, GatewayStores, Sources
from csms.pki.ocsp_client import OcspClient
from csms.projection import project
from csms.secrets import hash_secret
from csms.tls import ServerTls
from signing.approval import check_given
from signing.ceremony import DevelopmentCeremony
from signing.charger_bundle import BundleSeal
from signing.development import ensure_manufacturer
from signing.directive import parse_directive, payload_of
from signing.errors import NotInRelease
from signing.evidence_desk import EvidenceDesk
from signing.evidence_policy import read_policy
from signing.expiry import RoleExpiry
from signing.guard import Limits
from signing.inspection import Inspector
from signing.keys import ensure_key_file
from signing.ledger import UseLedger
from signing.manifest import read_makers
from signing.notary import RECORD, AuditNotary
from signing.published import read_expiries
from signing.service import SigningService
from signing.testimony import TestimonyDesk
from signing.trust_source import TrustSource, fetch_from
from signing.verify import Verifier
from storage import ports
from storage.artifact import Artifact
from storage.campaign import Approval, Campaign
from storage.certificate import CertificateStore
from storage.charger import stale_after
from storage.clock import system_clock
from storage.daily import DailyStore
from storage.errors import EngineUnavailable, InvalidInput
from storage.halt import HaltStore
from storage.health_time import HealthTime
from storage.ids import SIGNER_QUEUE, TASK_QUEUE, node_queue
from storage.journal import JournalRule
from storage.kept import KeptStore
from storage.notice import NoticeStore
from storage.operator_ports import CommandStore, LeftoverStore, LogStore, RequestKeyStore
from storage.parked import ParkedStore
from storage.penalty import PenaltyStore
from storage.postgres.artifacts import PostgresArtifactStore
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.blob_care import PostgresBlobCareStore
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.certificates import PostgresCertificateStore
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.commands import PostgresCommandStore
from storage.postgres.daily import PostgresDailyStore
from storage.postgres.engine import create_engine, create_ingest_engine
from storage.postgres.events import PostgresEventStore
from storage.postgres.frames import PostgresFrameStore
from storage.postgres.halts import PostgresHaltStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.kept import PostgresKeptStore
from storage.postgres.learned import PostgresLearnedStore
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.logs import PostgresLogStore
from storage.postgres.migrate import upgrade
from storage.postgres.notices import PostgresNoticeStore
from storage.postgres.out_of_service import PostgresOutOfServiceStore
from storage.postgres.outbox import PostgresOutboxStore
from storage.postgres.parked import PostgresParkedStore
from storage.postgres.partitions import PostgresJournalStore
from storage.postgres.penalties import PostgresPenaltyStore
from storage.postgres.privacy import PostgresPrivacyStore
from storage.postgres.projections import Tail
from storage.postgres.provisioning import PostgresProvisioningStore
from storage.postgres.publications import PostgresPublicationStore
from storage.postgres.registry import PostgresRegistryStore
from storage.postgres.renewals import PostgresRenewalStore
from storage.postgres.reprovision import PostgresReprovisionStore
from storage.postgres.request_keys import PostgresRequestKeyStore
from storage.postgres.retention import PostgresRetentionStore
from storage.postgres.retirement import PostgresRetirementStore
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.seat import PostgresSeat
from storage.postgres.statistics import PostgresStatistics
from storage.postgres.tickets import PostgresTicketStore
from storage.postgres.tokens import PostgresTokenStore
from storage.postgres.transaction_ids import PostgresTransactionIds
from storage.postgres.transfers import PostgresDownloadStore, PostgresUploadStore
from storage.postgres.trust import PostgresTrustStore
from storage.postgres.twins import PostgresTwinStore
from storage.postgres.upkeep import PostgresUpkeepStore
from storage.postgres.watching import watch_stores
from storage.postgres.withdrawals import PostgresWithdrawalStore
from storage.provisioning import ProvisioningStore
from storage.publication import PublicationStore
from storage.registry_ports import PrivacyStore, RegistryStore, TrustStore
from storage.renewal import RenewalStore
from storage.reprovision import ReprovisionStore
from storage.retention import RetentionStore
from storage.retirement import RetirementStore
from storage.s3 import S3BlobStore, S3Manner
from storage.s3_keeper import S3BlobKeeper
from storage.s3_leftovers import S3Leftovers
from storage.seat import Seat
from storage.statistics import TableStatistics
from storage.transfer import BlobCareStore, BlobKeeper, DownloadStore, UploadStore
from storage.twin_ports import TwinStore
from storage.upkeep import UpkeepStore
from storage.watching import WatchStores
from storage.withdrawal import WithdrawalStore
from workflows import registry
from workflows.client import Orchestrator
from workflows.herald import Herald

log = structlog.get_logger(__name__)

# What a worker may take to finish its activities after SIGTERM (DESIGN section 5).
GRACE = timedelta(seconds=30)
BUILD = version("ampwave")
"""Who handled it, in every task of a history: the SDK's own is a hash that says nothing and is longer."""
# A node has its sockets to hand over after that; together below what a service manager waits.
COMMAND_GRACE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Stores:
    """Every port, over the engines of these settings."""

    artifacts: ports.ArtifactStore
    audit: ports.AuditLog
    blobs: ports.BlobStore
    campaigns: ports.CampaignStore
    certificates: CertificateStore
    chargers: ports.ChargerStore
    commands: CommandStore
    daily: DailyStore
    events: ports.EventStore
    frames: ports.FrameStore
    journal: ports.JournalStore
    ingest: ports.IngestStore
    learned: ports.LearnedStore
    leases: ports.LeaseStore
    leftovers: LeftoverStore
    logs: LogStore
    out_of_service: ports.OutOfServiceStore
    outbox: ports.OutboxStore
    penalties: PenaltyStore
    kept: KeptStore
    parked: ParkedStore
    publications: PublicationStore
    privacy: PrivacyStore
    registry: RegistryStore
    renewals: RenewalStore
    retention: RetentionStore
    retirements: RetirementStore
    enrolments: ProvisioningStore
    reprovisions: ReprovisionStore
    request_keys: RequestKeyStore
    routes: ports.RouteStore
    tickets: ports.TicketStore
    tokens: ports.TokenStore
    transaction_ids: ports.TransactionIds
    halts: HaltStore
    notices: NoticeStore
    trust: TrustStore
    watch: WatchStores
    twins: TwinStore
    uploads: UploadStore
    downloads: DownloadStore
    care: BlobCareStore
    keeper: BlobKeeper
    withdrawals: WithdrawalStore
    upkeep: UpkeepStore


def database_url(settings: Settings) -> str:
    """The database's address. Raises InvalidInput when no setting names one."""
    if settings.database_url is None:
        raise InvalidInput(
            "AMPWAVE_DATABASE_URL is not set.", hint="`ampwave up` starts a database of its own."
        )
    return settings.database_url.get_secret_value()


async def upgrade_database(settings: Settings) -> str:
    """Apply the migrations that are missing; the revision."""
    return await upgrade(database_url(settings))


async def database_statistics(settings: Settings) -> tuple[TableStatistics, ...]:
    """How large the tables are. Raises EngineUnavailable."""
    engine = create_engine(database_url(settings), application_name="ampwave db stats")
    try:
        return await PostgresStatistics(engine).tables()
    finally:
        await engine.dispose()


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """All stores over one pool of connections and one S3 client."""
    engine = create_engine(database_url(settings), application_name="ampwave")
    ingest_engine = create_ingest_engine(database_url(settings))
    blobs = _blobs(settings)
    try:
        yield _stores(engine, ingest_engine, blobs, settings)
    finally:
        blobs.close()
        await engine.dispose()
        await ingest_engine.dispose()


@asynccontextmanager
async def open_retention(settings: Settings) -> AsyncIterator[RetentionStore]:
    """The database alone, for counting and removing what is stored."""
    engine = create_engine(database_url(settings), application_name="ampwave retention", pool_size=1)
    try:
        yield PostgresRetentionStore(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def open_blobs(settings: Settings) -> AsyncIterator[ports.BlobStore]:
    """The bucket alone, for what needs no database."""
    blobs = _blobs(settings)
    try:
        yield blobs
    finally:
        blobs.close()


@asynccontextmanager
async def scratch_blobs(settings: Settings) -> AsyncIterator[ports.BlobStore]:
    """A bucket of its own beside the live one, removed with all that is in it; for drills."""
    name = f"{settings.s3_bucket[:40]}-drill-{secrets.token_hex(6)}"
    blobs = _blobs(settings.model_copy(update={"s3_bucket": name}))
    try:
        await blobs.ensure_bucket()
        yield blobs
    finally:
        try:
            await blobs.remove_bucket()
        except EngineUnavailable as error:
            log.warning("a drill's bucket was not removed", bucket=name, why=error.message)
        blobs.close()


async def ensure_bucket(settings: Settings) -> None:
    """Create the bucket if it is not there, and switch versioning on (S40)."""
    blobs = _blobs(settings)
    try:
        await blobs.ensure_bucket()
    finally:
        blobs.close()


def _stores(
    engine: AsyncEngine, ingest_engine: AsyncEngine, blobs: S3BlobStore, settings: Settings
) -> Stores:
    tail = Tail()
    return Stores(
        artifacts=PostgresArtifactStore(engine),
        audit=PostgresAuditLog(engine),
        blobs=blobs,
        campaigns=PostgresCampaignStore(engine),
        certificates=PostgresCertificateStore(engine),
        chargers=PostgresChargerStore(engine, stale_after=stale_after(settings.csms_heartbeat_interval_s)),
        commands=PostgresCommandStore(engine),
        request_keys=PostgresRequestKeyStore(engine),
        daily=PostgresDailyStore(engine),
        events=PostgresEventStore(engine),
        learned=PostgresLearnedStore(engine),
        frames=PostgresFrameStore(engine),
        journal=PostgresJournalStore(engine),
        ingest=PostgresIngestStore(ingest_engine),
        leases=PostgresLeaseStore(engine),
        leftovers=S3Leftovers(blobs),
        logs=PostgresLogStore(engine),
        out_of_service=PostgresOutOfServiceStore(engine),
        outbox=PostgresOutboxStore(engine),
        penalties=PostgresPenaltyStore(engine),
        kept=PostgresKeptStore(engine),
        parked=PostgresParkedStore(engine),
        publications=PostgresPublicationStore(engine),
        privacy=PostgresPrivacyStore(engine),
        registry=PostgresRegistryStore(engine),
        renewals=PostgresRenewalStore(engine),
        retention=PostgresRetentionStore(engine),
        retirements=PostgresRetirementStore(engine),
        enrolments=PostgresProvisioningStore(engine),
        reprovisions=PostgresReprovisionStore(engine),
        routes=PostgresRouteStore(engine),
        tickets=PostgresTicketStore(engine),
        tokens=PostgresTokenStore(engine),
        transaction_ids=PostgresTransactionIds(engine),
        trust=PostgresTrustStore(engine, quarantine=settings.quarantine_on_suspicion, tail=tail),
        twins=PostgresTwinStore(engine, project),
        halts=PostgresHaltStore(engine),
        notices=PostgresNoticeStore(engine),
        watch=watch_stores(engine, HealthTime(settings.health_hour_s), tail),
        uploads=PostgresUploadStore(engine),
        downloads=PostgresDownloadStore(engine),
        care=PostgresBlobCareStore(engine),
        keeper=S3BlobKeeper(blobs),
        withdrawals=PostgresWithdrawalStore(engine),
        upkeep=PostgresUpkeepStore(engine),
    )


def _blobs(settings: Settings) -> S3BlobStore:
    if settings.s3_endpoint is None or settings.s3_access_key is None or settings.s3_secret_key is None:
        raise InvalidInput(
            "AMPWAVE_S3_ENDPOINT, AMPWAVE_S3_ACCESS_KEY and AMPWAVE_S3_SECRET_KEY must all be set.",
            hint="`ampwave up` starts an S3 server of its own.",
        )
    return S3BlobStore(
        endpoint=settings.s3_endpoint,
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        manner=S3Manner(settings.s3_checksum_mode, settings.s3_lock_days, settings.s3_timeout_s),
    )


def identity(host: str, process: int) -> str:
    """Who took a task. Fifteen events of a charger name it, so of a pod's name only the end, which tells."""
    return f"{process}@{host[-12:]}"


async def connect_temporal(settings: Settings) -> Client:
    """A client that encrypts everything it sends. Raises EngineUnavailable."""
    if settings.temporal_address is None:
        raise InvalidInput(
            "AMPWAVE_TEMPORAL_ADDRESS is not set.", hint="`ampwave up` starts Temporal itself."
        )
    try:
        return await Client.connect(
            settings.temporal_address,
            namespace=settings.temporal_namespace,
            data_converter=data_converter(read_key(settings.payload_key_path)),
            api_key=settings.temporal_api_key.get_secret_value() if settings.temporal_api_key else None,
            tls=settings.temporal_tls,
            identity=identity(socket.gethostname(), os.getpid()),
        )
    except RuntimeError as error:  # what the SDK raises when nobody listens
        raise EngineUnavailable(
            f"Temporal at {settings.temporal_address} does not answer: {error}"
        ) from error


def development_roles(settings: Settings) -> list[str]:
    """The vendor roles that the first ``up`` makes keys for."""
    return [role.strip() for role in settings.development_vendor_roles.split(",") if role.strip()]


async def ensure_repository(settings: Settings, stores: Stores) -> None:
    """The development ceremony: a TUF repository whose every key lies in this machine's key folder."""
    roles = development_roles(settings)
    now = system_clock()
    makers = await asyncio.to_thread(
        lambda: {role: ensure_manufacturer(settings.keys, role, now) for role in roles}
    )
    ceremony = DevelopmentCeremony(stores.blobs, settings.keys, system_clock)
    await ceremony.ensure(roles, manufacturer_roots={role: (maker.root,) for role, maker in makers.items()})
    await asyncio.to_thread(ensure_key_file, settings.keys / f"{RECORD}.pem")


def _trust(settings: Settings, stores: Stores, role: str) -> TrustSource:
    path = settings.trusted_root_path
    if not path.is_file():
        raise InvalidInput(
            f"The trusted TUF root {path} does not exist.",
            hint="Point AMPWAVE_TRUSTED_ROOT_FILE at the root.json of your ceremony.",
        )
    # What was believed before a restart is remembered, so that nobody can feed us older metadata then.
    memory = private_dir(settings.data_dir / "trust") / f"{role}-{settings.node_id}.json"
    return TrustSource(fetch_from(stores.blobs), path.read_bytes(), memory_file=memory)


def _manufacturer_roots(settings: Settings, stores: Stores) -> Callable[[], Awaitable[Sequence[str]]]:
    """Read when asked for: an api needs the trusted root for this alone."""
    sources: list[TrustSource] = []

    async def roots() -> Sequence[str]:
        if not sources:
            sources.append(_trust(settings, stores, "api"))
        trust = await sources[0].current(system_clock())
        return [pem for role in trust.roles() for pem in trust.policy.roots_of(role)]

    return roots


def _activity_stores(stores: Stores) -> ActivityStores:
    return ActivityStores(
        chargers=stores.chargers,
        campaigns=stores.campaigns,
        artifacts=stores.artifacts,
        routes=stores.routes,
        leases=stores.leases,
        out_of_service=stores.out_of_service,
        events=stores.events,
        tickets=stores.tickets,
        twins=stores.twins,
        audit=stores.audit,
        commands=stores.commands,
        logs=stores.logs,
        ingest=stores.ingest,
        halts=stores.halts,
        withdrawals=stores.withdrawals,
        upkeep=stores.upkeep,
        health=stores.watch.health,
        penalties=stores.penalties,
        learned=stores.learned,
        kept=stores.kept,
        parked=stores.parked,
        publications=stores.publications,
        clock=system_clock,
    )


def _readiness(stores: Stores, client: Client) -> dict[str, ReadinessCheck]:
    """What every serving role asks of its engines."""

    async def database() -> None:
        await stores.events.latest_sequence()

    async def temporal() -> None:
        await client.service_client.check_health()

    return {"database": database, "temporal": temporal}


def _limits(settings: Settings) -> ApiLimits:
    return ApiLimits(
        upload_bytes=settings.upload_bytes,
        log_bytes=settings.log_upload_bytes,
        downloads=DeskLimits(
            seats=settings.download_seats,
            stall_s=settings.download_stall_s,
            bytes_per_s=settings.download_bytes_per_s,
            site_bytes_per_s=settings.download_site_bytes_per_s,
        ),
        same_address=settings.download_same_address,
    )


def api_app(settings: Settings, stores: Stores, client: Client) -> FastAPI:
    """The HTTP app over these stores."""
    pepper = read_key(settings.charger_pepper_path)
    payload_key = read_key(settings.payload_key_path)
    return create_app(
        ApiServices(
            chargers=stores.chargers,
            campaigns=stores.campaigns,
            artifacts=stores.artifacts,
            events=stores.events,
            learned=stores.learned,
            tokens=stores.tokens,
            tickets=stores.tickets,
            uploads=stores.uploads,
            downloads=stores.downloads,
            leases=stores.leases,
            commands=stores.commands,
            request_keys=stores.request_keys,
            logs=stores.logs,
            twins=stores.twins,
            registry=stores.registry,
            privacy=stores.privacy,
            ingest=stores.ingest,
            audit=stores.audit,
            blobs=stores.blobs,
            watch=stores.watch,
            halts=stores.halts,
            penalties=stores.penalties,
            retention=stores.retention,
            retirements=stores.retirements,
            enrolments=stores.enrolments,
            renewing=_renewal_rules(settings),
            reprovisions=stores.reprovisions,
            environment=settings.environment,
            endpoints=partial(read_endpoints, settings),
            direct_registration=settings.unsafe_direct_registration,
            makers=lambda: read_makers(settings.manufacturer_keys_dir),
            retention_policy=retention_policy(settings),
            withdrawals=stores.withdrawals,
            certificates=stores.certificates,
            renewals=stores.renewals,
            webhooks=WebhookDoor(stores.notices, _webhook_rules(settings), partial(webhook_secret, pepper)),
            upkeep=stores.upkeep,
            orchestrator=Orchestrator(client),
            clock=system_clock,
            new_id=lambda: uuid.uuid4().hex[:16],
            random_bytes=secrets.token_bytes,
            hash_charger_secret=lambda secret: hash_secret(pepper, secret),
            decode_payloads=AesGcmCodec(payload_key).decode,
            session_key=hashlib.sha256(b"dashboard session" + payload_key).digest(),
            base_url=settings.base_url,
            manufacturer_roots=_manufacturer_roots(settings, stores),
            temporal_ui_url=settings.temporal_ui_url,
            temporal_namespace=settings.temporal_namespace,
            limits=_limits(settings),
            readiness={**_readiness(stores, client), "s3": stores.blobs.ready},
            check_approval=_approval_check(settings, stores),
        )
    )


def _webhook_rules(settings: Settings) -> WebhookRules:
    return WebhookRules.of(settings.webhook_networks, plain_http=settings.unsafe_plain_http_webhooks)


def herald(settings: Settings, stores: Stores) -> Herald:
    """What takes notices to webhooks."""
    pepper = read_key(settings.charger_pepper_path)
    post = WebhookPost(_webhook_rules(settings), pepper, settings.base_url)
    return Herald(stores.notices, stores.watch.incidents, post, system_clock)


def _approval_check(settings: Settings, stores: Stores) -> ApprovalCheck | None:
    """Signed approvals are looked at where they come in, so that people learn at once what does not count.

    An api without a root cannot: signer and nodes look at them all the same.
    """
    if not settings.trusted_root_path.is_file():
        log.warning("approvals are not checked here, for there is no trusted root")
        return None
    trust = _trust(settings, stores, "api")

    async def check(campaign: Campaign, approval: Approval) -> None:
        now = system_clock()
        check_given(approval, campaign, (await trust.current(now)).policy.approvers, now)

    return check


def _client_certificates(settings: Settings, stores: Stores) -> ClientCertificates | None:
    """Security profile 3, when authorities of chargers are configured."""
    options = client_tls_options(settings)
    if options is None:
        return None
    if not options.files.crl_files and not options.ocsp.on:
        log.warning("no revocation list and no responder is configured: only our own records revoke")
    ocsp = None
    if options.ocsp.on:
        http = httpx2.AsyncClient(timeout=options.ocsp.deadline_s, follow_redirects=False, trust_env=False)
        ocsp = OcspClient(http, options.ocsp, system_clock, secrets.token_bytes)
    denials = Denials(stores.certificates, system_clock)
    return ClientCertificates(options, stores.chargers, system_clock, ocsp, denials)


def csms_node(settings: Settings, stores: Stores, client: Client) -> tuple[Gateway, Worker]:
    """A node: its sockets, and the worker that takes commands from its own queue."""
    boot_id = uuid.uuid4().hex[:12]
    tls = server_tls_files(settings)
    server = None if tls is None else ServerTls(tls)
    gateway = Gateway(
        GatewayOptions(
            node_id=settings.node_id,
            boot_id=boot_id,
            pepper=read_key(settings.charger_pepper_path),
            host=settings.bind_host,
            port=settings.csms_port,
            tls_port=settings.csms_tls_port,
            heartbeat_interval_s=settings.csms_heartbeat_interval_s,
            ping_interval_s=settings.csms_ping_interval_s,
            message_timeout_s=settings.csms_message_timeout_s,
            max_frame_bytes=settings.csms_max_frame_bytes,
            lease_s=settings.csms_lease_s,
            reload_s=settings.csms_reload_s,
            internal_host=settings.csms_internal_host,
            internal_port=settings.csms_internal_port,
            stall_s=settings.csms_stall_s,
            rate=Rate(settings.csms_messages_per_s, settings.csms_messages_burst),
            arrivals=Rate(settings.csms_connects_per_minute / 60, settings.csms_connects_burst),
            unproved_per_address=settings.csms_handshakes_per_address,
            clock_drift_s=settings.csms_clock_drift_s,
            drain_s=settings.csms_drain_s,
            unsafe_profile_0=settings.unsafe_security_profile_0,
            ingest=IngestOptions(interval_s=settings.ingest_interval_ms / 1000),
        ),
        GatewayStores(
            stores.chargers,
            stores.ingest,
            stores.routes,
            stores.transaction_ids,
            desires=stores.twins.desired_variables,
            readiness=_readiness(stores, client),
        ),
        Sources(system_clock),
        tls=server,
        certificates=_client_certificates(settings, stores),
        newcomers=newcomers_of(settings, stores.enrolments),
    )
    office = TicketOffice(
        stores.tickets,
        secrets.token_bytes,
        settings.base_url,
        system_clock,
        plain_url=(settings.unsafe_plain_http_url or "").rstrip("/") or None,
    )
    node = Node(
        _activity_stores(stores),
        gateway,
        Verifier(_trust(settings, stores, "csms")),
        office,
        data_transfer_vendors=frozenset(settings.data_transfer_vendors),
        uses=UseLedger(settings.data_dir / "trust" / f"uses-{settings.node_id}.jsonl"),
        alarms=DispatchAlarms(lambda kind: gateway.metrics.refusals.labels(kind).inc()),
        loop_late=gateway.loop_watch.worst,
        unmarked=gateway.listening.unmarked_s,
    )
    worker = Worker(
        client,
        task_queue=node_queue(settings.node_id, boot_id),
        activities=[
            *registry.node_activities(node, gateway.watching),
            *registry.renewal_node_activities(
                node, stores.certificates, stores.renewals, None if server is None else server.shown.since
            ),
        ],
        max_concurrent_activities=200,
        build_id=BUILD,
        graceful_shutdown_timeout=COMMAND_GRACE,
    )
    return gateway, worker


def shared_worker(settings: Settings, stores: Stores, client: Client) -> Worker:
    """Workflows, and the activities that need no socket and no key."""
    shared = _activity_stores(stores)
    office = TicketOffice(stores.tickets, secrets.token_bytes, settings.base_url, system_clock)
    inspector = Inspector(
        stores.blobs,
        _trust(settings, stores, "worker"),
        stores.chargers.model,
        system_clock,
        withdrawn=stores.withdrawals.in_force,
        location=office.example(),
    )
    days = (settings.journal_partition_days, settings.journal_ahead_days, settings.journal_kept_days)
    journal = JournalActivities(stores.journal, JournalRule(*days), system_clock)
    keeping = LogKeepingActivities(shared, stores.leftovers, timedelta(days=settings.log_kept_days))
    set_aside = stores.enrolments.set_aside if settings.quarantine_on_suspicion else None
    drift = DriftPolicy(timedelta(seconds=settings.drift_grace_s), set_aside)
    policy = retention_policy(settings)
    care = blob_care(settings, stores, inspector)
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=registry.WORKFLOWS,
        workflow_runner=registry.RUNNER,
        activities=[
            *registry.worker_activities(
                shared, inspector, journal, keeping, stores.watch.sessions, drift, care
            ),
            *registry.metadata_activities(_metadata(settings, stores)),
            *registry.late_activities(shared, stores.watch.incidents),
            *registry.local_image_activities(shared, stores.blobs),
            *registry.renewal_activities(
                RenewalActivities(shared, stores.certificates),
                FleetRenewalActivities(
                    shared, stores.certificates, stores.renewals, _renewal_rules(settings)
                ),
                ConnectionActivities(shared, stores.renewals),
                RevocationActivities(shared, stores.certificates),
                LateRenewalActivities(
                    *(shared, stores.certificates, stores.renewals, stores.watch.incidents),
                    rules=_renewal_rules(settings),
                ),
            ),
            *registry.reprovision_activities(ReprovisionActivities(shared, stores.reprovisions)),
            *registry.move_activities(MoveActivities(stores.registry, stores.ingest, system_clock)),
            *registry.life_activities(
                shared, stores.retirements, stores.enrolments, revoking(shared, stores.certificates)
            ),
            *registry.record_activities(
                shared,
                DailyActivities(shared, stores.daily, stores.blobs),
                RetentionActivities(stores.retention, policy, system_clock),
            ),
        ],
        max_cached_workflows=4000,
        # By default one poller of five takes new workflows, one by one, and each waits for its write.
        max_concurrent_workflow_task_polls=20,
        nonsticky_to_sticky_poll_ratio=0.5,
        build_id=BUILD,
        # How long a dead worker's workflows wait before another takes them: 10 s by default.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=GRACE,
    )


def _renewal_rules(settings: Settings) -> RenewalRules:
    return RenewalRules(
        before=timedelta(days=settings.certificate_renew_days),
        jitter=timedelta(days=settings.certificate_renew_jitter_days),
        enabled=settings.certificate_renew,
        pressing=timedelta(days=settings.certificate_pressing_days),
        alarm=timedelta(days=settings.certificate_alarm_days),
    )


def blob_care(settings: Settings, stores: Stores, inspector: Inspector) -> BlobCareActivities:
    """Hashing what is stored against what was signed, and sweeping what is left over."""
    source = _trust(settings, stores, "care")

    async def signed(artifact: Artifact) -> str | None:
        trust = await source.current(system_clock())
        try:
            return (await source.release(trust, artifact.target_path)).sha256
        except NotInRelease:
            return None

    more = CareStores(stores.care, stores.keeper, stores.uploads, stores.watch.incidents)
    policy = CarePolicy(
        bytes_per_round=settings.rehash_bytes_per_day, grace=timedelta(hours=settings.leftover_grace_hours)
    )
    return BlobCareActivities(_activity_stores(stores), more, inspector, signed, policy)


def _metadata(settings: Settings, stores: Stores) -> MetadataActivities:
    root = settings.trusted_root_path.read_bytes()

    async def read() -> tuple[RoleExpiry, ...]:
        return await read_expiries(fetch_from(stores.blobs), root)

    return MetadataActivities(read, stores.watch.incidents, system_clock)


def signing_service(settings: Settings, stores: Stores) -> SigningService:
    """The signer over the online keys at their addresses."""
    use_tokens(settings)
    path = settings.trusted_root_path
    if not path.is_file():
        raise InvalidInput(
            f"The trusted TUF root {path} does not exist.",
            hint="Point AMPWAVE_TRUSTED_ROOT_FILE at the root.json of your ceremony.",
        )
    return SigningService(
        stores.blobs,
        path.read_bytes(),
        online_keys(settings),
        system_clock,
        allowed_roles=settings.signer_roles or None,
        limits=Limits(settings.signer_metadata_per_minute, settings.signer_directives_per_minute),
    )


def signer_seat(settings: Settings) -> Seat:
    """Where one signer at a time sits per set of keys."""
    keys = online_keys(settings)
    name = f"signer {keys.snapshot} {keys.timestamp} {keys.directive}"
    return PostgresSeat(database_url(settings), name, socket.gethostname())


def _notary(settings: Settings, stores: Stores) -> NotaryActivities:
    """Who vouches for the audit log, with the key that the database does not hold."""
    notary = AuditNotary(
        stores.blobs,
        lambda: record_keys(settings),
        system_clock,
        memory_file=private_dir(settings.data_dir / "trust") / "audit-checkpoint.json",
        every=timedelta(seconds=settings.audit_checkpoint_s),
        authority=poster(settings.audit_timestamp_url) if settings.audit_timestamp_url else None,
    )
    return NotaryActivities(stores.audit, stores.watch.incidents, notary, system_clock)


def _bundles(settings: Settings, stores: Stores) -> BundleActivities:
    """Who signs what is kept of a charger, with the same key."""
    seal = BundleSeal(stores.blobs, lambda: record_keys(settings))
    sources = BundleSources(stores.watch, stores.registry, stores.blobs)
    return BundleActivities(_activity_stores(stores), sources, seal)


def _passports(settings: Settings, stores: Stores) -> PassportActivities:
    """Who signs what a charger was given to run, with the same key."""
    sources = PassportSources(
        stores.registry,
        stores.certificates,
        stores.retirements,
        lambda envelope: parse_directive(payload_of(envelope)),
    )
    desk = TestimonyDesk(stores.blobs, lambda: record_keys(settings))
    return PassportActivities(_activity_stores(stores), sources, desk)


def _evidence_desk(settings: Settings, stores: Stores) -> EvidenceDesk:
    """Who judges what a release brings along, by the operator's file."""
    return EvidenceDesk(
        stores.blobs,
        lambda: read_policy(settings.evidence_policy_file),
        lambda: record_keys(settings),
        system_clock,
    )


def signer_worker(settings: Settings, stores: Stores, client: Client, signer: SigningService) -> Worker:
    """What needs a key, on the signer's queue."""
    return Worker(
        client,
        task_queue=SIGNER_QUEUE,
        activities=[
            *registry.signer_activities(
                _activity_stores(stores),
                signer,
                lambda: secrets.token_hex(16),
                desk=_evidence_desk(settings, stores),
                blobs=stores.blobs,
            ),
            *registry.certificate_activities(
                CertificateActivities(
                    _activity_stores(stores),
                    stores.certificates,
                    charger_authority(settings),
                    IssuePolicy(per_day=settings.signer_certificates_per_day),
                    former_authorities(settings),
                )
            ),
            _notary(settings, stores).checkpoint_audit,
            *registry.testimony_activities(
                _activity_stores(stores),
                stores.retirements,
                TestimonyDesk(stores.blobs, lambda: record_keys(settings)),
            ),
            _bundles(settings, stores).sign_bundle,
            _passports(settings, stores).sign_passport,
        ],
        max_concurrent_activities=20,
        build_id=BUILD,
        graceful_shutdown_timeout=GRACE,
    )
