# long-file: one small world that all workflow and activity tests share
"""A small fleet in memory behind the real ports: chargers that boot, fail, vanish or lie on command."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson

from activities.orders import Node
from activities.stores import Stores
from activities.tickets import TicketOffice
from csms.access import GetLocalListVersion
from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    Command,
    CommandAnswer,
    GetInstalledCertificateIds,
    GetTransactionStatus,
    GetVariables,
    ItemAnswer,
    Reset,
    SetVariables,
    UpdateFirmware,
)
from csms.errors import CommandTimeout, NotConnectedHere
from csms.ports import LastLook, PasswordChange
from signing.directive import directive_payload, parse_directive
from signing.errors import KeyUnavailable, StaleStage, VerificationFailed
from signing.evidence_desk import EvidenceDesk
from signing.evidence_policy import EvidencePolicy
from signing.expiry import RoleExpiry
from signing.ports import CeremonyStamp, DispatchRequest, Inspection, ReleaseStamp, VerifiedDispatch
from storage.artifact import Artifact, ArtifactPhase, Compatible, SignOff, StagedRelease, VendorSignature
from storage.audit import AuditCheckpoint
from storage.campaign import (
    Approval,
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Decision,
    Directive,
    Outcome,
    SignedDirective,
    VerdictWord,
    WavePlan,
)
from storage.canonical import canonical_json, sha256_hex
from storage.certificate_use import InstalledCertificate
from storage.charger import Charger, ChargerFilter, ModelProfile, Route, SelfReport, SignatureScheme, Site
from storage.charging import ChargingSession, SessionState
from storage.credentials import PendingFate
from storage.events import (
    ChargerBooted,
    ConnectionOpened,
    ConnectorStatus,
    EventRecord,
    FirmwareStatus,
    FirmwareStatusReported,
    SecurityEventReported,
    StoredEvent,
    wake_token,
)
from storage.findings import Finding
from storage.plan_digest import plan_digest
from storage.ports import ChargerView, Projector
from storage.retention import RetentionPolicy
from storage.twin import (
    ConnectivitySection,
    ConnectorState,
    FirmwareSection,
    Lifecycle,
    OpenTransaction,
    OperationSection,
    TwinState,
)
from storage.watching import DoubtfulSession
from tests.support.memory import MemoryBlobs, MemoryLearned
from tests.support.memory_halts import MemoryHalts
from tests.support.memory_kept import MemoryKept
from tests.support.memory_operator import MemoryCommands, MemoryLeftovers, MemoryLogs
from tests.support.memory_parked import MemoryParked
from tests.support.memory_penalties import MemoryPenalties
from tests.support.memory_publications import MemoryPublications
from tests.support.memory_upkeep import MemoryUpkeep
from tests.support.memory_watch import MemoryHealth, MemoryIncidents
from tests.support.memory_withdrawals import MemoryWithdrawals
from tests.unit.activities.memory import (
    MemoryArtifacts,
    MemoryAudit,
    MemoryCampaigns,
    MemoryChargers,
    MemoryEvents,
    MemoryJournal,
    MemoryLeases,
    MemoryOutOfService,
    MemoryRoutes,
    MemoryTickets,
)

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PEOPLE = ("grace", "hedy", "ida")
VENDOR, MODEL = "Voltworks", "VW-22"
NODE_ID, BOOT_ID = "node-1", "boot-1"

Signaller = Callable[[str, StoredEvent, Route], Awaitable[None]]
Behaviour = Callable[["World", str, UpdateFirmware], Awaitable[CommandAnswer]]

ACCEPTED = CommandAnswer(AnswerStatus.ACCEPTED)
TAKEN = PasswordChange(PendingFate.PROMOTE, AnswerStatus.ACCEPTED)
NOT_IMPLEMENTED = CommandAnswer(AnswerStatus.NOT_IMPLEMENTED)


async def good(world: "World", charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """Installs, restarts and reports the version it was sent."""
    await world.boot(charger_id, world.sent_version(charger_id))
    return ACCEPTED


async def mute(world: "World", charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """Accepts and is never heard again."""
    world.unplug(charger_id)
    return ACCEPTED


async def idle(world: "World", charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """Accepts and does nothing."""
    return ACCEPTED


async def broken(world: "World", charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """Cannot install it."""
    await world.report(charger_id, FirmwareStatus.INSTALLATION_FAILED, command.request_id)
    return ACCEPTED


async def falls_back(world: "World", charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """Says installed and comes back with the old version."""
    await world.report(charger_id, FirmwareStatus.INSTALLED, command.request_id)
    await world.boot(charger_id, world.version(charger_id))
    return ACCEPTED


async def distrusts(world: "World", charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """The vendor signature does not hold there."""
    await world.report(charger_id, FirmwareStatus.INVALID_SIGNATURE, command.request_id)
    return ACCEPTED


async def unheard(world: "World", charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """Does everything right, but no signal reaches the workflow."""
    await world.boot(charger_id, world.sent_version(charger_id), signal=False)
    return ACCEPTED


class KeptRecords:
    """The retention store and the audit log's notary, as far as a round of record keeping asks them."""

    def __init__(self) -> None:
        self.broken = False
        self.rounds: list[RetentionPolicy] = []

    async def remove(self, policy: RetentionPolicy, now: datetime, *, seconds: float) -> dict[str, int]:
        self.rounds.append(policy)
        return {"events": 3}

    async def first_day(self) -> None:
        return None

    async def checkpoint(self, rows: Any) -> AuditCheckpoint:
        if self.broken:
            raise VerificationFailed("Row 4 of the audit log was changed.")
        return AuditCheckpoint(1, 7, "f" * 64, START, "")


class NoTwins:
    """Nothing is desired of anybody."""

    async def drift_facts(self, *, limit: int = 500) -> list[Any]:
        del limit
        return []

    async def summarise(self, *, limit: int = 200) -> int:
        del limit
        return 0


@dataclass
class World:
    """Stores, node, signer and chargers. ``now`` is moved by the test."""

    now: datetime = START
    campaigns: MemoryCampaigns = field(default_factory=MemoryCampaigns)
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    leases: MemoryLeases = field(default_factory=MemoryLeases)
    twins: Any = field(default_factory=NoTwins)
    routes: MemoryRoutes = field(default_factory=MemoryRoutes)
    events: MemoryEvents = field(default_factory=MemoryEvents)
    tickets: MemoryTickets = field(default_factory=MemoryTickets)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    halts: MemoryHalts = field(default_factory=MemoryHalts)
    penalties: MemoryPenalties = field(default_factory=MemoryPenalties)
    learned: MemoryLearned = field(default_factory=MemoryLearned)
    kept: MemoryKept = field(default_factory=MemoryKept)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    """What chargers answer when they are asked for variables, by charger."""
    roots: dict[str, tuple[InstalledCertificate, ...]] = field(default_factory=dict)
    local_lists: dict[str, int] = field(default_factory=dict)
    read_only: set[str] = field(default_factory=set)
    """Variables that no charger lets anybody write."""
    desk: Any = None
    records: KeptRecords = field(default_factory=KeptRecords)
    withdrawals: MemoryWithdrawals = field(default_factory=MemoryWithdrawals)
    upkeep: MemoryUpkeep = field(default_factory=MemoryUpkeep)
    commands: MemoryCommands = field(default_factory=MemoryCommands)
    logs: MemoryLogs = field(default_factory=MemoryLogs)
    leftovers: MemoryLeftovers = field(default_factory=MemoryLeftovers)
    health: MemoryHealth = field(default_factory=MemoryHealth)
    answers: dict[type, CommandAnswer | Exception] = field(default_factory=dict)
    """What every charger says to a kind of command; nothing here: Accepted."""
    password_change: PasswordChange | Exception = TAKEN
    rotated: list[str] = field(default_factory=list)
    """Who was given a new password."""
    on_turn: Callable[[str, Command], Awaitable[None]] | None = None
    """What happens while a command waits for its turn."""
    on_send: Callable[[str, Command], Awaitable[None]] | None = None
    """What happens just before a command is answered."""
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    default: Behaviour = good
    signaller: Signaller | None = None
    sent: list[tuple[str, Command]] = field(default_factory=list)
    """Every command that reached a charger."""
    refused_proofs: set[str] = field(default_factory=set)
    base_url: str = "http://api"
    certificate_subjects: tuple[str, ...] = ()
    proof_errors: dict[str, Exception] = field(default_factory=dict)
    """What the verifier says of a charger instead of a proof."""
    self_reports: dict[str, SelfReport] = field(default_factory=dict)
    inoperative: set[str] = field(default_factory=set)
    unsigned_only: set[str] = field(default_factory=set)
    on_settle: Callable[[str], None] | None = None
    repeat_signals: int = 1
    stale_publications: int = 0
    _stagings: int = 0
    published_version: int = 0
    """The highest version that was published."""
    agenda: list[tuple[datetime, Callable[[], None]]] = field(default_factory=list)
    """What happens by itself, and when; done as the clock passes it."""
    _sequence: Any = field(default_factory=lambda: itertools.count(1))

    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    dedupe_keys: set[str | None] = field(default_factory=set)
    doubts: list[DoubtfulSession] = field(default_factory=list)
    transaction_status: dict[str, CommandAnswer] = field(default_factory=dict)
    """What chargers answer to GetTransactionStatus, by transaction id."""
    found: list[tuple[str, Finding]] = field(default_factory=list)
    loop_late: float = 0.0
    testimonies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chargers = MemoryChargers(self.leases, self.penalties)
        self.campaigns.views = self.chargers.rows
        self.campaigns.audit = self.audit
        self.out_of_service = MemoryOutOfService(self.leases, self.routes)
        self.parked = MemoryParked(
            self.campaigns,
            self.chargers,
            lambda name: name in self.routes.rows and name not in self.leases.rows,
            lambda: self.now,
        )
        self.kept = MemoryKept(self.campaigns, lambda name: name in self.leases.rows)
        self.upkeep.standings = self.campaigns.standings
        self.publications = MemoryPublications(self.campaigns)
        self.journal = MemoryJournal()
        self.incidents = MemoryIncidents()
        self.blobs = MemoryBlobs()
        self.withdrawals.audit = self.audit  # type: ignore[assignment]  # it appends as well
        self.desk = EvidenceDesk(self.blobs, EvidencePolicy, self._no_keys, lambda: self.now)  # type: ignore[arg-type]

    @staticmethod
    def _no_keys() -> Any:
        raise KeyUnavailable("A verdict was to be signed where there is nothing to say.")

    def tick(self, now: datetime) -> None:
        """Move the clock; everybody who is online was heard just now."""
        self.now = now
        due = [act for when, act in self.agenda if when <= now]
        self.agenda = [item for item in self.agenda if item[0] > now]
        for act in due:
            act()
        self.heard()

    # --- the fleet -------------------------------------------------------------------------------

    def add_artifact(
        self, version: str, counter: int, phase: ArtifactPhase = ArtifactPhase.RELEASED
    ) -> Artifact:
        artifact = Artifact(
            artifact_id=sha256_hex(version.encode()),
            vendor_role="voltworks",
            version=version,
            release_counter=counter,
            length=1000,
            compatible=(Compatible(VENDOR, MODEL),),
            vendor_signatures=(VendorSignature(SignatureScheme.ECDSA_P256, "c2ln", "PEM"),),
            phase=phase,
            uploaded_by="ada",
            uploaded_at=START,
        )
        self.artifacts.rows[artifact.artifact_id] = artifact
        return artifact

    def add_chargers(
        self, count: int, *, sites: int = 0, max_down: int = 1, version: str = "1.0"
    ) -> list[str]:
        """Idle, online chargers; by default each on a site of its own."""
        names = [
            f"CP{number:03d}" for number in range(len(self.chargers.rows), len(self.chargers.rows) + count)
        ]
        self.chargers.profiles[VENDOR, MODEL] = ModelProfile(VENDOR, MODEL)
        for number, name in enumerate(names):
            site = f"site-{number % (sites or count)}"
            self.chargers.site_rows[site] = Site(site, site, "Europe/Berlin", max_down)
            self.leases.max_down[site] = max_down
            self.routes.rows[name] = Route(name, NODE_ID, BOOT_ID, 1, START, "ocpp2.0.1")
            self.chargers.rows[name] = ChargerView(
                Charger(name, site, VENDOR, MODEL, Lifecycle.ACTIVE),
                TwinState(
                    name,
                    firmware=FirmwareSection(version=version),
                    connectivity=ConnectivitySection(online=True, dialect="ocpp2.0.1"),
                    operation=self._idle_operation(),
                ),
                last_message_at=self.now,
            )
        return names

    def _idle_operation(self) -> OperationSection:
        state = ConnectorState(1, 1, ConnectorStatus.AVAILABLE, self.now, reported_at=self.now)
        return OperationSection({"1.1": state})

    def version(self, charger_id: str) -> str:
        firmware = self.chargers.rows[charger_id].twin.firmware
        assert firmware is not None
        assert firmware.version is not None
        return firmware.version

    def _twin(self, charger_id: str, **sections: Any) -> None:
        view = self.chargers.rows[charger_id]
        self.chargers.rows[charger_id] = replace(
            view, twin=replace(view.twin, **sections), last_message_at=self.now
        )

    def heard(self) -> None:
        """Everybody who is online was heard just now."""
        for name, view in self.chargers.rows.items():
            if view.twin.connectivity and view.twin.connectivity.online:
                self.chargers.rows[name] = replace(view, last_message_at=self.now)

    def plug_in(self, charger_id: str) -> None:
        """A car comes and charges."""
        operation = self._idle_operation()
        session = OpenTransaction("t1", 1, 1, self.now, self.now)
        self._twin(charger_id, operation=replace(operation, transactions={"t1": session}))

    def unplug_car(self, charger_id: str) -> None:
        self._twin(charger_id, operation=self._idle_operation())

    def fault(self, charger_id: str) -> None:
        state = ConnectorState(1, 1, ConnectorStatus.FAULTED, self.now, reported_at=self.now)
        self._twin(charger_id, operation=OperationSection({"1.1": state}))

    def unplug(self, charger_id: str) -> None:
        """It goes away: no route, offline, and not heard since."""
        self.routes.rows.pop(charger_id, None)
        view = self.chargers.rows[charger_id]
        self.chargers.rows[charger_id] = replace(
            view, twin=replace(view.twin, connectivity=ConnectivitySection(online=False))
        )

    def plug(self, charger_id: str, boot_id: str = BOOT_ID) -> None:
        """It is back over a new session."""
        self.routes.rows[charger_id] = Route(charger_id, NODE_ID, boot_id, 9, START, "ocpp2.0.1")
        self._twin(charger_id, connectivity=ConnectivitySection(online=True, dialect="ocpp2.0.1"))

    # --- what chargers tell ----------------------------------------------------------------------

    def run_version(self, charger_id: str, version: str) -> None:
        """Its twin tells of a boot that nobody waits for."""
        self._twin(charger_id, firmware=FirmwareSection(version=version, booted_at=self.now))
        self._report_connectors(charger_id)

    async def boot(self, charger_id: str, version: str, *, signal: bool = True) -> None:
        self._twin(
            charger_id,
            firmware=FirmwareSection(version=version, booted_at=self.now),
            connectivity=ConnectivitySection(online=True, dialect="ocpp2.0.1"),
        )
        self._report_connectors(charger_id)
        self.routes.rows.setdefault(charger_id, Route(charger_id, NODE_ID, BOOT_ID, 2, START, "ocpp2.0.1"))
        await self._tell(charger_id, ChargerBooted(VENDOR, MODEL, version), signal=signal)

    def _report_connectors(self, charger_id: str) -> None:
        """As every charger does after a boot."""
        operation = self.chargers.rows[charger_id].twin.operation
        if operation is not None:
            told = {key: replace(state, reported_at=self.now) for key, state in operation.connectors.items()}
            self._twin(charger_id, operation=replace(operation, connectors=told))

    async def connects(self, charger_id: str) -> None:
        """A new session, without a boot."""
        opened = ConnectionOpened("ocpp2.0.1", 2, "192.0.2.1", NODE_ID)
        await self._tell(charger_id, opened, signal=False)

    async def report(self, charger_id: str, status: FirmwareStatus, request_id: int | None) -> None:
        await self._tell(charger_id, FirmwareStatusReported(status, request_id), signal=True)

    async def security_event(self, charger_id: str, name: str) -> None:
        await self._tell(charger_id, SecurityEventReported(name), signal=True)

    async def _tell(self, charger_id: str, event: Any, *, signal: bool) -> None:
        record = EventRecord(charger_id, event, self.now, self.now, 1)
        body = cast("dict[str, Any]", orjson.loads(canonical_json(event)))
        stored = StoredEvent(next(self._sequence), charger_id, record.kind, body, self.now, self.now)
        self.events.rows.append(stored)
        lease = self.leases.rows.get(charger_id)
        if signal and self.signaller and lease and wake_token(record) in lease.wake_on:
            for _ in range(self.repeat_signals):
                await self.signaller(charger_id, stored, self.routes.rows[charger_id])

    # --- csms.ports.CommandSender ----------------------------------------------------------------

    async def send(
        self,
        charger_id: str,
        session_epoch: int,
        command: Command,
        *,
        deadline_s: float,
        last_look: LastLook | None = None,
    ) -> CommandAnswer:
        self._check_session(charger_id, session_epoch)
        if self.on_turn:
            await self.on_turn(charger_id, command)
        if last_look is not None:
            await last_look()
        self.sent.append((charger_id, command))
        if self.on_send:
            await self.on_send(charger_id, command)
        told = self.answers.get(type(command))
        if isinstance(told, Exception):
            raise told
        if told is not None:
            return told
        if isinstance(command, ChangeAvailability):
            return self._set_availability(charger_id, command)
        if isinstance(command, UpdateFirmware):
            return await self.behaviours.get(charger_id, self.default)(self, charger_id, command)
        if isinstance(command, Reset):
            await self.boot(charger_id, self.sent_version(charger_id))
        return self._said(charger_id, command)

    def _said(self, charger_id: str, command: Command) -> CommandAnswer:
        match command:
            case GetVariables():
                known = self.settings.get(charger_id, {})
                return CommandAnswer(AnswerStatus.ACCEPTED, values=tuple(known.items()))
            case SetVariables():
                return self._write(charger_id, command)
            case GetTransactionStatus():
                return self.transaction_status.get(command.transaction_id, NOT_IMPLEMENTED)
            case GetInstalledCertificateIds():
                return CommandAnswer(AnswerStatus.ACCEPTED, certificates=self.roots.get(charger_id, ()))
            case GetLocalListVersion():
                return CommandAnswer(AnswerStatus.ACCEPTED, list_version=self.local_lists.get(charger_id))
        return ACCEPTED

    def _write(self, charger_id: str, command: SetVariables) -> CommandAnswer:
        items = []
        for each in command.values:
            taken = each.name not in self.read_only
            if taken:
                self.settings.setdefault(charger_id, {})[each.name] = each.value
            items.append(ItemAnswer(each.name, AnswerStatus.ACCEPTED if taken else AnswerStatus.REJECTED))
        worst = next((one.status for one in items if one.status is not AnswerStatus.ACCEPTED), None)
        return CommandAnswer(worst or AnswerStatus.ACCEPTED, items=tuple(items))

    async def keep(self, charger_id: str, session_epoch: int, finding: Finding) -> None:
        """csms.ports.FindingKeeper"""
        self._check_session(charger_id, session_epoch)
        self.found.append((charger_id, finding))

    async def doubtful(self, *_: Any, **_options: Any) -> list[DoubtfulSession]:
        """storage.watching.SessionStore"""
        return self.doubts

    def _set_availability(self, charger_id: str, command: ChangeAvailability) -> CommandAnswer:
        operation = self.chargers.rows[charger_id].twin.operation
        if operation and operation.transactions and not command.operative:
            return CommandAnswer(AnswerStatus.SCHEDULED)
        if command.evse_id is None:
            (self.inoperative.discard if command.operative else self.inoperative.add)(charger_id)
        return ACCEPTED

    async def settle(self, charger_id: str, session_epoch: int) -> None:
        self._check_session(charger_id, session_epoch)
        if self.on_settle:
            self.on_settle(charger_id)

    async def cut(self, charger_id: str, session_epoch: int, reason: str) -> None:
        """Its socket is closed."""
        del reason
        self._check_session(charger_id, session_epoch)
        self.unplug(charger_id)

    async def set_lifecycle(self, charger_id: str, lifecycle: Lifecycle) -> None:
        view = self.chargers.rows[charger_id]
        self.chargers.rows[charger_id] = replace(view, charger=replace(view.charger, lifecycle=lifecycle))

    async def testify(self, kind: str, said: dict[str, Any]) -> str:
        """activities.testifying.Testifier"""
        self.testimonies.append((kind, said))
        return sha256_hex(canonical_json(said))

    async def change_password(
        self, charger_id: str, session_epoch: int, *, deadline_s: float
    ) -> PasswordChange:
        """What every charger makes of a new password: ``password_change``."""
        del deadline_s
        self._check_session(charger_id, session_epoch)
        self.rotated.append(charger_id)
        if isinstance(self.password_change, Exception):
            raise self.password_change
        return self.password_change

    def told(self, charger_id: str, session_epoch: int) -> SelfReport | None:
        return self.self_reports.get(charger_id)

    def supports_signed_update(self, charger_id: str, session_epoch: int) -> bool:
        return charger_id not in self.unsigned_only

    def _check_session(self, charger_id: str, session_epoch: int) -> None:
        route = self.routes.rows.get(charger_id)
        if route is None or route.session_epoch != session_epoch:
            raise NotConnectedHere(charger_id, session_epoch)

    def updates(self, charger_id: str | None = None) -> list[tuple[str, UpdateFirmware]]:
        """The firmware updates that reached chargers, in order."""
        return [
            (name, command)
            for name, command in self.sent
            if isinstance(command, UpdateFirmware) and charger_id in (None, name)
        ]

    def sent_version(self, charger_id: str) -> str:
        """What the latest dispatched target of this charger is about."""
        rows = [row for row in self.campaigns.target_rows.values() if row.charger_id == charger_id]
        if not rows:
            return self.version(charger_id)
        return max(rows, key=lambda row: row.wave if row.request_id else -1).to_version

    # --- signing ports ---------------------------------------------------------------------------

    async def verify(self, request: DispatchRequest) -> VerifiedDispatch:
        directive = _parsed(request.directive)
        if error := self.proof_errors.get(request.charger_id):
            raise error
        if request.charger_id in self.refused_proofs or request.charger_id not in directive.charger_ids:
            raise VerificationFailed("The proof does not hold.")
        artifact = self.artifacts.rows[directive.sha256]
        signature = artifact.vendor_signatures[0] if request.signed_update else None
        evidence: dict[str, str | int] = {"directive_id": directive.directive_id}
        return VerifiedDispatch(directive, signature, evidence, self.certificate_subjects)

    async def sign_directive(self, directive: Directive, shard: int) -> SignedDirective:
        return SignedDirective(
            directive.directive_id, directive.campaign_id, directive.wave, shard, directive_payload(directive)
        )

    async def inspect(self, artifact: Artifact) -> Inspection:
        problems = ("its vendor signature does not hold",) if artifact.length == 0 else ()
        return Inspection(artifact.artifact_id, artifact.length, problems)

    async def conclude_ceremony(self, data: bytes) -> CeremonyStamp:
        return CeremonyStamp("f" * 64, {"root": 2, "targets": 3}, 4, 5, (data.decode(),))

    async def expiries(self) -> tuple[RoleExpiry, ...]:
        return (RoleExpiry("root", 1, self.now + timedelta(days=20)),)

    async def stage(self, artifact: Artifact) -> StagedRelease:
        self._stagings += 1
        version = self._stagings
        payload = f"{artifact.artifact_id}:{version}".encode()
        return StagedRelease(
            artifact.artifact_id,
            artifact.vendor_role,
            version,
            payload,
            sha256_hex(payload),
            2,
            ("k1", "k2", "k3"),
        )

    async def outdated(self, staged: StagedRelease) -> str:
        taken = self.published_version
        return f"Version {taken} of {staged.role} was published first" if staged.version <= taken else ""

    async def check_sign_off(self, staged: StagedRelease, sign_off: SignOff) -> None:
        if sign_off.signature != "00":
            raise VerificationFailed("The signature does not hold.")

    async def publish(self, staged: StagedRelease, sign_offs: tuple[SignOff, ...]) -> ReleaseStamp:
        if self.stale_publications:
            self.stale_publications -= 1
            raise StaleStage("The role moved on.")
        self.published_version = max(self.published_version, staged.version)
        return ReleaseStamp("voltworks/1.1/firmware.bin", staged.version, 2, 3)

    async def refresh(self) -> None:
        return None

    # --- wiring ----------------------------------------------------------------------------------

    @property
    def stores(self) -> Stores:
        return Stores(  # type: ignore[arg-type]  # only what the activities ask of the ports is there
            chargers=self.chargers,
            campaigns=self.campaigns,
            artifacts=self.artifacts,
            routes=self.routes,
            leases=self.leases,
            out_of_service=self.out_of_service,
            events=self.events,
            tickets=self.tickets,
            twins=self.twins,
            audit=self.audit,
            commands=self.commands,
            logs=self.logs,
            ingest=self,
            halts=self.halts,
            withdrawals=self.withdrawals,  # type: ignore[arg-type]
            upkeep=self.upkeep,
            health=self.health,
            penalties=self.penalties,
            learned=self.learned,
            kept=self.kept,
            parked=self.parked,
            publications=self.publications,
            clock=lambda: self.now,
        )

    async def commit(
        self, frames: Sequence[Any], events: Sequence[EventRecord], project: Projector
    ) -> Sequence[StoredEvent]:
        """storage.ports.IngestStore, as far as activities use it: events once per dedupe key."""
        for record in events:
            if record.dedupe_key in self.dedupe_keys:
                continue
            self.dedupe_keys.add(record.dedupe_key)
            body = cast("dict[str, Any]", orjson.loads(canonical_json(record.event)))
            number = next(self._sequence)
            self.events.rows.append(
                StoredEvent(
                    number,
                    record.charger_id,
                    record.kind,
                    body,
                    record.observed_at,
                    record.received_at,
                )
            )
        return ()

    @property
    def node(self) -> Node:
        office = TicketOffice(
            self.stores.tickets, lambda count: b"\x07" * count, self.base_url, lambda: self.now
        )
        vendors = frozenset({"acme"})
        return Node(
            self.stores,
            self,
            self,
            office,
            command_seconds=1.0,
            data_transfer_vendors=vendors,
            loop_late=lambda: self.loop_late,
        )

    async def add_campaign(
        self, waves: Sequence[Sequence[str]], plan: CampaignPlan | None = None, *, campaign_id: str = "c1"
    ) -> Campaign:
        """A draft with these chargers by wave."""
        from storage.campaign import Target

        plan = plan or self.plan(len(waves))
        artifact = self.artifacts.rows[plan.artifact_id]
        targets = [
            Target(
                campaign_id=campaign_id,
                wave=wave,
                ordinal=ordinal,
                charger_id=name,
                site_id=self.chargers.rows[name].charger.site_id,
                artifact_id=plan.artifact_id,
                from_version=self.version(name),
                to_version=artifact.version,
            )
            for wave, names in enumerate(waves)
            for ordinal, name in enumerate(names)
        ]
        frozen = plan_digest(plan, waves)
        campaign = Campaign(
            campaign_id, plan, frozen, CampaignPhase.DRAFT, "ada", START, cohort_size=len(targets)
        )
        await self.campaigns.create(campaign, targets)
        return campaign

    async def approve(self, campaign_id: str = "c1", *actors: str) -> None:
        """These people say yes to the campaign as it stands, and it runs."""
        campaign = await self.campaigns.get(campaign_id)
        for actor in actors or PEOPLE[: campaign.plan.approvals_needed]:
            await self.campaigns.add_approval(campaign_id, Approval(actor, START, campaign.plan_digest))
        await self.campaigns.set_phase(campaign_id, CampaignPhase.RUNNING, "", START)

    def plan(self, waves: int = 1, version: str = "1.1", **changes: Any) -> CampaignPlan:
        """A plan over artifacts that are made when missing; rolls back to 1.0."""
        for name, counter in (("1.0", 1), (version, 2)):
            if sha256_hex(name.encode()) not in self.artifacts.rows:
                self.add_artifact(name, counter)
        plan = CampaignPlan(
            name="rollout",
            artifact_id=sha256_hex(version.encode()),
            targets=ChargerFilter(),
            waves=tuple(WavePlan(f"w{wave}", 1 / waves) for wave in range(waves)),
            rollback_artifact_id=sha256_hex(b"1.0"),
        )
        return replace(plan, **changes)


def _parsed(signed: SignedDirective) -> Directive:
    return parse_directive(signed.envelope)


async def lost_answer(world: World, charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """The first answer never arrives; asked again, it says yes and does it."""
    if len(world.updates(charger_id)) == 1:
        raise CommandTimeout(charger_id, "UpdateFirmware", 1.0)
    return await good(world, charger_id, command)


def doubt_about(world: World, charger_id: str, asked: int = 0, hours: float = 0.0) -> DoubtfulSession:
    """The session that ``plug_in`` began, quiet for so long."""
    since = world.now - timedelta(hours=hours)
    session = ChargingSession(charger_id, "t1", SessionState.OPEN, since, since, 1, 1, asked=asked)
    return DoubtfulSession(session, world.routes.rows[charger_id], "it went quiet")


def loops(world: World, charger_id: str, *, tampered: bool = False) -> None:
    """Once it counts as updated it restarts with 1.1 twice more, and then comes up with 1.0 by itself."""
    finish = world.campaigns.finish_target

    async def and_then_loops(campaign_id: str, wave: int, name: str, *rest: Any) -> None:
        await finish(campaign_id, wave, name, *rest)
        target = await world.campaigns.target(campaign_id, wave, name)
        if (name, target.outcome, target.to_version) != (charger_id, Outcome.UPDATED, "1.1"):
            return
        if tampered:
            await world.security_event(name, "TamperDetectionActivated")
        for version in ("1.1", "1.1", "1.0"):
            world.now += timedelta(seconds=1)
            await world.boot(name, version)

    world.campaigns.finish_target = and_then_loops  # type: ignore[method-assign]


def falls_after_rollback(world: World, charger_id: str, times: int) -> None:
    """It comes up with 1.1 by itself whenever a rollback wave has passed its gate, so often."""
    record, left = world.campaigns.add_decision, times

    async def with_a_fall(decision: Decision) -> None:
        nonlocal left
        await record(decision)
        if decision.kind == "rollback" and decision.verdict is VerdictWord.PROCEED and left:
            left -= 1
            await world.boot(charger_id, "1.1")

    world.campaigns.add_decision = with_a_fall  # type: ignore[method-assign]
