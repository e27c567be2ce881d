"""An api over in-memory ports, with people of every role, a clock that stands and ids that count."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx2
from fastapi import FastAPI
from temporalio.api.common.v1 import Payload

from api.app import create_app
from api.auth import mint_token
from api.ports import ApiLimits, ApiServices, ApprovalCheck, WebhookDoor
from api.webhook_signature import webhook_secret
from api.webhook_url import WebhookRules
from storage.access import Principal, Role
from storage.artifact import Artifact, ArtifactPhase, Compatible
from storage.canonical import sha256_hex
from storage.charger import Charger, Site
from storage.connection import Endpoint
from storage.events import ConnectorStatus, EventKind, StoredEvent
from storage.ports import ChargerView
from storage.retention import RetentionPolicy
from storage.twin import (
    ConfigurationSection,
    ConnectivitySection,
    ConnectorState,
    FirmwareSection,
    IdentitySection,
    Lifecycle,
    OperationSection,
    SecuritySection,
    TwinState,
)
from storage.watching import WatchStores
from tests.support.memory import (
    MemoryAudit,
    MemoryBlobs,
    MemoryEvents,
    MemoryLearned,
    MemoryLeases,
    MemoryRetention,
    MemoryTickets,
    MemoryTokens,
)
from tests.support.memory_campaigns import MemoryArtifacts, MemoryCampaigns, MemoryOrchestrator
from tests.support.memory_certificates import MemoryCertificates, MemoryRenewals
from tests.support.memory_chargers import MemoryChargers
from tests.support.memory_enrolments import MemoryEnrolments
from tests.support.memory_halts import MemoryHalts
from tests.support.memory_notices import MemoryNotices
from tests.support.memory_operator import MemoryCommands, MemoryLogs, MemoryRequestKeys
from tests.support.memory_penalties import MemoryPenalties
from tests.support.memory_registry import MemoryIngest, MemoryPrivacy, MemoryRegistry
from tests.support.memory_reprovisions import MemoryReprovisions
from tests.support.memory_retirements import MemoryRetirements
from tests.support.memory_transfers import MemoryDownloads, MemoryUploads
from tests.support.memory_twins import MemoryTwins
from tests.support.memory_upkeep import MemoryUpkeep
from tests.support.memory_watch import memory_watch
from tests.support.memory_withdrawals import MemoryWithdrawals

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BASE = "http://ampwave.test"


async def no_decoding(payloads: Sequence[Payload]) -> list[Payload]:
    return list(payloads)


class Counter:
    """Random bytes and ids that never repeat and never surprise."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def random_bytes(self, count: int) -> bytes:
        return next(self._numbers).to_bytes(count, "big")

    def new_id(self) -> str:
        return f"id-{next(self._numbers)}"


@dataclass
class House:
    """All ports, the app over them, and a client for each role."""

    chargers: MemoryChargers = field(default_factory=MemoryChargers)
    campaigns: MemoryCampaigns = field(default_factory=MemoryCampaigns)
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    events: MemoryEvents = field(default_factory=MemoryEvents)
    learned: MemoryLearned = field(default_factory=MemoryLearned)
    tokens: MemoryTokens = field(default_factory=MemoryTokens)
    tickets: MemoryTickets = field(default_factory=MemoryTickets)
    leases: MemoryLeases = field(default_factory=MemoryLeases)
    commands: MemoryCommands = field(default_factory=MemoryCommands)
    request_keys: MemoryRequestKeys = field(default_factory=MemoryRequestKeys)
    logs: MemoryLogs = field(default_factory=MemoryLogs)
    twins: MemoryTwins = field(init=False)
    uploads: MemoryUploads = field(default_factory=MemoryUploads)
    downloads: MemoryDownloads = field(init=False)
    registry: MemoryRegistry = field(init=False)
    ingest: MemoryIngest = field(default_factory=MemoryIngest)
    privacy: MemoryPrivacy = field(default_factory=MemoryPrivacy)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    watch: WatchStores = field(default_factory=memory_watch)
    halts: MemoryHalts = field(default_factory=MemoryHalts)
    notices: MemoryNotices = field(default_factory=MemoryNotices)
    penalties: MemoryPenalties = field(default_factory=MemoryPenalties)
    retention: MemoryRetention = field(default_factory=MemoryRetention)
    withdrawals: MemoryWithdrawals = field(default_factory=MemoryWithdrawals)
    certificates: MemoryCertificates = field(default_factory=MemoryCertificates)
    renewals: MemoryRenewals = field(default_factory=MemoryRenewals)
    upkeep: MemoryUpkeep = field(default_factory=MemoryUpkeep)
    manufacturer_roots: list[str] = field(default_factory=list)
    counter: Counter = field(default_factory=Counter)
    now: datetime = NOW
    limits: ApiLimits = field(default_factory=ApiLimits)
    readiness: dict[str, Callable[[], Any]] = field(default_factory=dict)
    temporal_ui_url: str | None = "http://temporal.test:8233"
    check_approval: ApprovalCheck | None = None
    endpoints: tuple[Endpoint, ...] = (Endpoint("main", "ws://csms.test/ocpp", "wss://csms.test/ocpp"),)

    def __post_init__(self) -> None:
        self.twins = MemoryTwins(self.chargers)
        self.halts.audit = self.withdrawals.audit = self.audit
        self.downloads = MemoryDownloads(self.tickets, self.halts, self.withdrawals)
        self.registry = MemoryRegistry(self.chargers)
        self.orchestrator = MemoryOrchestrator(self.campaigns, self.artifacts)
        self.orchestrator.commands = self.commands
        self.orchestrator.renewals = self.renewals
        self.orchestrator.registry = self.registry
        self.services = ApiServices(
            chargers=self.chargers,  # type: ignore[arg-type]  # doubles hold only what the api uses
            campaigns=self.campaigns,  # type: ignore[arg-type]
            artifacts=self.artifacts,
            events=self.events,  # type: ignore[arg-type]
            learned=self.learned,
            tokens=self.tokens,
            tickets=self.tickets,  # type: ignore[arg-type]
            uploads=self.uploads,
            downloads=self.downloads,
            leases=self.leases,  # type: ignore[arg-type]
            commands=self.commands,
            request_keys=self.request_keys,
            logs=self.logs,
            twins=self.twins,  # type: ignore[arg-type]
            registry=self.registry,
            privacy=self.privacy,
            ingest=self.ingest,
            audit=self.audit,
            blobs=self.blobs,  # type: ignore[arg-type]
            watch=self.watch,
            halts=self.halts,
            penalties=self.penalties,
            retention=self.retention,
            retention_policy=RetentionPolicy({"events": 400}),
            withdrawals=self.withdrawals,
            certificates=self.certificates,  # type: ignore[arg-type]
            renewals=self.renewals,  # type: ignore[arg-type]
            webhooks=WebhookDoor(self.notices, WebhookRules(), partial(webhook_secret, b"p" * 32)),
            direct_registration=True,
            reprovisions=MemoryReprovisions(self.chargers, self.chargers.set_lifecycle),
            enrolments=MemoryEnrolments(self.chargers),  # type: ignore[arg-type]  # what the doors ask
            retirements=MemoryRetirements(self.chargers, self.chargers.set_lifecycle),  # type: ignore[arg-type]  # what the doors ask
            upkeep=self.upkeep,
            orchestrator=self.orchestrator,
            clock=lambda: self.now,
            new_id=self.counter.new_id,
            random_bytes=self.counter.random_bytes,
            hash_charger_secret=lambda text: f"hmac:{len(text)}".encode(),
            decode_payloads=no_decoding,
            session_key=b"k" * 32,
            base_url=BASE,
            manufacturer_roots=self._roots,
            temporal_ui_url=self.temporal_ui_url,
            readiness=self.readiness,
            endpoints=lambda: self.endpoints,
            limits=self.limits,
            check_approval=self.check_approval,
        )
        self.app: FastAPI = create_app(self.services)
        self.texts = {role: self._token(role) for role in Role}

    async def _roots(self) -> Sequence[str]:
        return self.manufacturer_roots

    def _token(self, role: Role) -> str:
        return self.token(Principal(f"{role.value}@ampwave.test", role))

    def token(self, principal: Principal, *, expires_at: datetime | None = None) -> str:
        text, token = mint_token(
            principal,
            now=self.now,
            expires_at=expires_at,
            token_id=self.counter.new_id(),
            random_bytes=self.counter.random_bytes,
        )
        self.tokens.tokens.append(token)
        return text

    def client(
        self, role: Role | None = None, *, text: str | None = None, app: Any = None
    ) -> httpx2.AsyncClient:
        bearer = text or (self.texts[role] if role else None)
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        transport = httpx2.ASGITransport(app=app or self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=BASE, headers=headers)

    def add_site(self, site_id: str = "harbour", name: str = "Harbour North", max_down: int = 1) -> Site:
        site = Site(site_id, name, "Europe/Berlin", max_down)
        self.chargers.by_site[site_id] = site
        return site

    def add_charger(self, charger_id: str, **changes: Any) -> ChargerView:
        view = charger_view(charger_id, self.now, **changes)
        self.chargers.all[charger_id] = view
        return view

    def add_artifact(self, version: str, counter: int = 1, **changes: Any) -> Artifact:
        artifact = replace(
            Artifact(
                artifact_id=sha256_hex(version.encode()),
                vendor_role="volta",
                version=version,
                release_counter=counter,
                length=2_621_440,
                compatible=(Compatible("Volta", "V22"),),
                vendor_signatures=(),
                phase=ArtifactPhase.RELEASED,
                uploaded_by="rita",
                uploaded_at=self.now - timedelta(hours=3),
                reason="Released: role version 4, timestamp 12.",
            ),
            **changes,
        )
        self.artifacts.all[artifact.artifact_id] = artifact
        return artifact

    def add_event(self, charger_id: str, kind: EventKind, sequence: int, **body: Any) -> StoredEvent:
        event = StoredEvent(sequence, charger_id, kind, body, self.now, self.now)
        self.events.add(event)
        return event


def charger_view(
    charger_id: str,
    now: datetime = NOW,
    *,
    site_id: str = "harbour",
    vendor: str = "Volta",
    model: str = "V22",
    version: str | None = "1.0.0",
    online: bool = True,
    status: ConnectorStatus = ConnectorStatus.AVAILABLE,
    **changes: Any,
) -> ChargerView:
    connector = ConnectorState(1, 1, status, now - timedelta(minutes=20))
    twin = TwinState(
        charger_id,
        revision=7,
        identity=IdentitySection(vendor, model),
        firmware=FirmwareSection(version, booted_at=now - timedelta(days=3)),
        security=SecuritySection(profile=1, last_auth_ok_at=now - timedelta(days=3)),
        connectivity=ConnectivitySection(online=online, dialect="ocpp2.0.1", since=now - timedelta(days=3)),
        operation=OperationSection({"1.1": connector}),
        configuration=ConfigurationSection({"HeartbeatInterval": "60"}, now - timedelta(days=3)),
    )
    charger = Charger(
        charger_id, site_id, vendor, model, Lifecycle.ACTIVE, registered_at=now - timedelta(days=30)
    )
    return replace(ChargerView(charger, twin, last_message_at=now - timedelta(seconds=20)), **changes)


def plan_json(artifact: Artifact, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Spring release",
        "artifact_id": artifact.artifact_id,
        "waves": [{"name": "canary", "share": 0.25}, {"name": "rest", "share": 0.75}],
        **changes,
    }
