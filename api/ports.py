"""What the doors ask of the house: stores, the orchestrator, and what is handed in once at start."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from temporalio.api.common.v1 import Payload

from activities.certificate_end import RevokeOrder
from activities.certificates import HandedIn, IssueAnswer
from activities.metadata import CeremonyOrder
from activities.renewals import RenewalRules
from api.download_desk import DeskLimits
from api.webhook_url import WebhookRules
from signing.manifest import Maker
from signing.ports import CeremonyStamp
from storage.artifact import SignOff
from storage.bundle import BundleOrder
from storage.campaign import Approval, Campaign
from storage.certificate import CertificateStore
from storage.clock import Clock
from storage.connection import Endpoint
from storage.halt import HaltStore
from storage.notice import NoticeStore
from storage.operator_ports import CommandStore, LogStore, RequestKeyStore
from storage.passport import PassportOrder
from storage.penalty import PenaltyStore
from storage.ports import (
    ArtifactStore,
    AuditLog,
    BlobStore,
    CampaignStore,
    ChargerStore,
    EventStore,
    IngestStore,
    LearnedStore,
    LeaseStore,
    TicketStore,
    TokenStore,
)
from storage.provisioning import ProvisioningStore
from storage.registry_ports import PrivacyStore, RegistryStore
from storage.renewal import RenewalStore
from storage.reprovision import ReprovisionStore
from storage.retention import RetentionPolicy, RetentionStore
from storage.retirement import RetirementStore
from storage.transfer import DownloadStore, UploadStore
from storage.twin_ports import TwinStore
from storage.upkeep import UpkeepStore
from storage.watching import WatchStores
from storage.withdrawal import WithdrawalStore
from workflows.charger_command import CommandInput
from workflows.log_retrieval import LogInput
from workflows.signals import PersonRequest


class Orchestrator(Protocol):
    """How the api talks to workflows. A validator's refusal is Conflict, no Temporal EngineUnavailable.

    ``update_id`` makes an act happen once, however often the request is repeated.
    """

    async def start_publication(self, artifact_id: str) -> None: ...
    async def evidence_changed(self, artifact_id: str) -> None: ...
    async def look_again(self, artifact_id: str) -> None: ...
    async def sign_off(self, sign_off: SignOff) -> None: ...
    async def publish_ceremony(self, order: CeremonyOrder) -> CeremonyStamp: ...
    async def start_campaign(self, campaign_id: str) -> None: ...
    async def approve(self, campaign_id: str, approval: Approval, update_id: str) -> None: ...
    async def pause(self, campaign_id: str, actor: str, update_id: str) -> None: ...
    async def resume(self, campaign_id: str, actor: str, update_id: str) -> None: ...
    async def abort(
        self, campaign_id: str, actor: str, reason: str, *, rollback: bool, update_id: str
    ) -> None: ...
    async def proceed(self, campaign_id: str, actor: str, reason: str, update_id: str) -> None: ...
    async def extend(
        self, campaign_id: str, ends_at: datetime, actor: str, reason: str, update_id: str
    ) -> None: ...
    async def skip_charger(
        self, campaign_id: str, charger_id: str, actor: str, reason: str, update_id: str
    ) -> None: ...
    async def recall_charger(
        self, campaign_id: str, charger_id: str, actor: str, reason: str, update_id: str
    ) -> None: ...
    async def send_command(self, given: CommandInput) -> None:
        """Send it and wait for its end, at most as long as the charger may take; the store has the end."""

    async def retrieve_log(self, given: LogInput) -> None: ...
    async def start_configuration(self, configuration_id: str) -> None: ...
    async def renew_certificate(self, charger_id: str, actor: str) -> None: ...
    async def start_renewal(self, renewal_id: str) -> None: ...
    async def steer_renewal(
        self, renewal_id: str, act: str, request: PersonRequest, update_id: str
    ) -> None: ...
    async def revoke_certificates(self, order: RevokeOrder) -> tuple[str, ...]: ...
    async def issue_certificate(self, given: HandedIn) -> IssueAnswer: ...
    async def make_bundle(self, order: BundleOrder) -> int:
        """Have a charger's evidence signed, and wait; how many lines it has."""

    async def make_passport(self, order: PassportOrder) -> str:
        """Have a charger's firmware passport signed, and wait; the SHA-256 of the document."""

    async def move_charger(self, charger_id: str, move_id: str) -> None:
        """Carry out a move that is on record, and wait; Conflict if something else has the charger."""

    async def retire_charger(self, charger_id: str) -> bool: ...
    async def reprovision_charger(self, charger_id: str, reprovision_id: str) -> bool: ...
    async def visit_charger(self, charger_id: str) -> bool: ...
    async def log_arrived(self, charger_id: str, request_id: int) -> None: ...


PayloadDecoder = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]
ReadinessCheck = Callable[[], Awaitable[None]]
"""Returns when the engine answers; raises whatever says what is wrong."""


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Bounds of what one request may ask for. Sizes in bytes, durations in seconds."""

    upload_bytes: int = 2 * 1024**3
    body_bytes: int = 1024**2
    evidence_bytes: int = 8 * 1024**2
    import_bytes: int = 32 * 1024**2
    import_rows: int = 100_000
    log_bytes: int = 256 * 1024**2
    """The longest log that a charger may upload."""
    log_uploads: int = 16
    """Logs taken in at once in this process, each with a few megabytes in memory; others come again."""
    log_seconds: float = 900.0
    """The longest that one upload may take."""
    section_bytes: int = 256 * 1024
    """Of a request with a twin's section: the section itself may have less, its JSON may be spelt longer."""
    stream_seconds: float = 600.0
    """A stream of events ends after this and the reader resumes: a revoked token is out by then."""
    keep_alive_seconds: float = 15.0
    page_seconds: float = 5.0
    """An open dashboard page looks again at least this often, for what is no charger's event."""
    downloads: DeskLimits = field(default=DeskLimits())
    same_address: bool = False
    """A charger may fetch only from the address that its socket comes from."""
    upload_seconds: float = 3600.0
    """The longest that one request may bring bytes of an upload; what came by then stays."""
    upload_hours: float = 24.0
    """An upload in pieces that nobody finishes is forgotten after this."""
    import_seconds: float = 900.0
    """The longest that fetching an image from a vendor's address may take."""
    imports: int = 2
    """Images fetched from vendors at once in this process."""
    rebuilds: int = 2
    """Comparisons of twins with their events at once in this process: each holds a connection for as long as
    it reads, and whoever may read may ask for one."""
    streams: int = 200
    """Event streams open at once in this process; further ones are told to come back."""
    session_seconds: int = 12 * 3600
    readiness_seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class WebhookDoor:
    """Who outside is told: their webhooks, where these may lie, and the secret of each."""

    store: NoticeStore
    rules: WebhookRules
    secret: Callable[[str, int], str] = field(repr=False)
    """(webhook, number of its secret); see ``api.webhook_signature``."""


ApprovalCheck = Callable[[Campaign, Approval], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ApiServices:
    """Everything the app needs, as ports and values; ``api.bootstrap`` fills it."""

    chargers: ChargerStore
    campaigns: CampaignStore
    artifacts: ArtifactStore
    events: EventStore
    learned: LearnedStore
    tokens: TokenStore
    tickets: TicketStore
    uploads: UploadStore
    downloads: DownloadStore
    leases: LeaseStore
    commands: CommandStore
    request_keys: RequestKeyStore
    logs: LogStore
    twins: TwinStore
    registry: RegistryStore
    privacy: PrivacyStore
    ingest: IngestStore
    """For what people note on timelines."""
    audit: AuditLog
    blobs: BlobStore
    watch: WatchStores
    halts: HaltStore
    penalties: PenaltyStore
    withdrawals: WithdrawalStore
    certificates: CertificateStore
    renewals: RenewalStore
    webhooks: WebhookDoor
    upkeep: UpkeepStore
    orchestrator: Orchestrator
    clock: Clock
    new_id: Callable[[], str]
    random_bytes: Callable[[int], bytes]
    hash_charger_secret: Callable[[str], bytes]
    """HMAC-SHA256 under the deployment's pepper."""
    decode_payloads: PayloadDecoder
    session_key: bytes = field(repr=False)
    """Seals dashboard sessions; the same in every api process."""
    base_url: str
    manufacturer_roots: Callable[[], Awaitable[Sequence[str]]]
    """All manufacturers' roots (PEM) that the signed metadata lists, verified."""
    temporal_ui_url: str | None = None
    temporal_namespace: str = "default"
    retention: RetentionStore | None = None
    """For metrics and counts of what is stored; None: there are none."""
    retention_policy: RetentionPolicy = field(default_factory=RetentionPolicy)
    readiness: Mapping[str, ReadinessCheck] = field(default_factory=dict)
    """``database``, ``temporal``, ``s3``."""
    limits: ApiLimits = field(default_factory=ApiLimits)
    retirements: RetirementStore | None = None
    """None: nobody is retired here."""
    enrolments: ProvisioningStore | None = None
    """None: nobody is enrolled here."""
    renewing: RenewalRules = field(default=RenewalRules())
    """When certificates are renewed by themselves; for people who look ahead."""
    reprovisions: ReprovisionStore | None = None
    """None: nobody is provisioned anew here."""
    environment: str = "production"
    endpoints: Callable[[], Sequence[Endpoint]] = tuple
    """Where chargers may be moved to, read when asked for."""
    direct_registration: bool = False
    """Whether chargers may be in service without having been through provisioning (F50)."""
    makers: Callable[[], Sequence[Maker]] = tuple
    """Whose lists of chargers are believed, read when asked for."""
    check_approval: ApprovalCheck | None = None
    """Raises ApprovalRefused for a yes that no signer and no node would count."""
