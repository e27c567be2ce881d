# long-file: what is asked of the engines, on one page
"""What the rest of Ampwave asks of its engines. Adapters live below and meet in ``api.bootstrap``.

Every method that writes is one transaction. Errors: ``storage.errors`` only; engine failures
surface as ``EngineUnavailable``.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from storage.access import Token
from storage.artifact import Artifact, ArtifactPhase, SignOff, StagedRelease
from storage.audit import AuditEntry, AuditRow
from storage.blob_ports import BlobStore as BlobStore  # noqa: PLC0414 - handed on
from storage.campaign import (
    Approval,
    Campaign,
    CampaignPhase,
    Decision,
    Hindrance,
    Outcome,
    SignedDirective,
    Target,
    TargetPhase,
    WaveTally,
)
from storage.charger import (
    STALE_AFTER,
    Charger,
    ChargerCredential,
    ChargerFilter,
    DownloadTicket,
    FleetCounts,
    LeaseAnswer,
    ModelProfile,
    OutOfService,
    Route,
    Site,
    SiteLease,
)
from storage.events import EventRecord, FrameRecord, StoredEvent
from storage.evidence import EvidenceKind, EvidenceRef
from storage.glances import GlanceStore
from storage.journal import JournalRound, JournalRule, Partition
from storage.learned import Trail
from storage.listening import Listened
from storage.penalty import Penalty
from storage.query_ports import ChronicleStore, CountingStore
from storage.standing import OutcomeGroup
from storage.twin import Lifecycle, TwinState

Projector = Callable[[TwinState, EventRecord], TwinState]
"""Pure: the twin after an event. Sections it does not touch are the same objects."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; ``next_cursor`` is opaque and None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class ChargerView:
    """A charger with its twin, read at one instant."""

    charger: Charger
    twin: TwinState
    last_message_at: datetime | None = None
    maintenance: SiteLease | None = None
    penalty: Penalty | None = None
    """Why it is set apart now (R27)."""
    stale_after: timedelta = STALE_AFTER
    """For so long what it said last is current."""

    def heard_lately(self, now: datetime) -> bool:
        """Whether it said anything lately; a charger with a heartbeat does, however idle it is."""
        return self.last_message_at is not None and now - self.last_message_at <= self.stale_after


@dataclass(frozen=True, slots=True)
class OutboxSignal:
    """One hint on its way to a charger's workflow; ``sequence`` is the event's."""

    outbox_id: int
    charger_id: str
    workflow_id: str
    event: StoredEvent
    node_id: str
    boot_id: str
    session_epoch: int


class ChargerStore(CountingStore, GlanceStore, Protocol):
    """Sites, chargers, credentials, models and their twins."""

    async def put_site(self, site: Site) -> None: ...
    async def sites(self) -> Sequence[Site]: ...
    async def site(self, site_id: str) -> Site | None: ...
    async def put_model(self, profile: ModelProfile) -> None: ...
    async def model(self, vendor: str, model: str) -> ModelProfile | None: ...
    async def register(self, charger: Charger, credential: ChargerCredential | None) -> None:
        """Raise Conflict if the identity is taken by a charger that differs, or the password is another's."""

    async def get(self, charger_id: str) -> ChargerView: ...
    async def credential(self, charger_id: str) -> ChargerCredential | None: ...
    async def set_lifecycle(self, charger_id: str, lifecycle: Lifecycle) -> None: ...
    async def find(
        self, where: ChargerFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[ChargerView]: ...
    async def names(self, where: ChargerFilter) -> frozenset[str]:
        """The ids of all that a filter means, from one instant. Raises QueryError, or QueryTooBroad."""

    async def views(self, charger_ids: Sequence[str]) -> Sequence[ChargerView]:
        """In the order asked; unknown ids are left out."""

    async def counts(self) -> FleetCounts: ...


class IngestStore(Protocol):
    """The one transaction behind every answer to a charger (DESIGN section 4, "Back")."""

    async def commit(
        self, frames: Sequence[FrameRecord], events: Sequence[EventRecord], project: Projector
    ) -> Sequence[StoredEvent]:
        """Journal frames, store events once per dedupe key, project twins with history, fill the outbox.

        Of a socket that was replaced (its ``session_epoch`` is older than the charger's current one) all
        is stored, and projected except boots and what concerns the connection. Returns the new events.
        """


class TransactionIds(Protocol):
    """The integer transaction ids that OCPP 1.6 has the central system allot (StartTransaction.conf)."""

    async def allot(self, charger_id: str, start_key: str) -> int:
        """The id of one session start: from 1 to 2^31 - 1, never given to another start.

        The same charger and key get the same id again, so a StartTransaction that is sent twice
        (its answer was lost, or we crashed before answering) opens one session (F82). ``start_key``
        is at most 200 characters.
        """


class EventStore(ChronicleStore, Protocol):
    """Reading what happened."""

    async def timeline(
        self, charger_id: str, *, limit: int = 100, before: int | None = None
    ) -> Sequence[StoredEvent]:
        """Newest first."""

    async def after(self, sequence: int, *, limit: int = 500) -> Sequence[StoredEvent]:
        """In order, and never skipping one that commits later with a lower number."""

    async def latest_sequence(self) -> int: ...
    async def since(self, charger_id: str, instant: datetime, kinds: Sequence[str]) -> Sequence[StoredEvent]:
        """Received at or after ``instant``, oldest first."""

    async def signals_late(self) -> float:
        """How long the oldest event of which a workflow is to be told has been waiting, seconds."""

    async def history(self, charger_id: str, *, limit: int = 100) -> Sequence[dict[str, Any]]:
        """Twin revisions, newest first: revision, section, patch, cause, observed and received time."""

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Wakes up (coalesced) whenever something was committed."""


class LearnedStore(Protocol):
    """Past updates of a model (F74)."""

    async def trails(
        self, vendor: str, model: str, *, since: datetime, from_version: str | None = None, limit: int = 200
    ) -> Sequence[Trail]:
        """The newest accepted updates of a model's chargers, newest first."""


class FrameStore(Protocol):
    """Reading the journal of raw frames."""

    async def message_ids(self, charger_id: str) -> frozenset[str]:
        """The ids of all messages that this charger sent us and that are journaled."""


class JournalStore(Protocol):
    """The journal as a whole: its partitions by time."""

    async def partitions(self) -> Sequence[Partition]: ...
    async def keep(self, rule: JournalRule, now: datetime) -> JournalRound:
        """Make the partitions that are due, drop those that have had their time; the ingest never waits."""


class RouteStore(Protocol):
    """Which node holds which socket."""

    async def claim(
        self, charger_id: str, node_id: str, boot_id: str, dialect: str, lease: timedelta
    ) -> Route:
        """A new socket was authenticated: a higher epoch, whoever held it before."""

    async def renew(
        self, node_id: str, boot_id: str, epochs: Sequence[tuple[str, int]], lease: timedelta
    ) -> Sequence[str]:
        """Extend; returns the chargers whose epoch has moved on, whose sockets this node must close."""

    async def release(self, charger_id: str, session_epoch: int) -> bool:
        """Drop the route if it is still this epoch's; returns whether it was."""

    async def resolve(self, charger_id: str) -> Route | None:
        """The live route, or None if there is none or its lease ran out."""

    async def resolve_all(self, charger_ids: Sequence[str]) -> Mapping[str, Route]:
        """The live routes of those of them that have one, from one look."""

    async def live(self, charger_ids: Sequence[str]) -> frozenset[str]:
        """Those of them that have a live route."""

    async def abandon(self, grace: timedelta, *, limit: int = 1000) -> Sequence[tuple[str, int]]:
        """Give up leases that ran out that long ago; (charger, epoch) of those whose twin says online.

        A lease that was given up is not renewed any more: its node must close the socket.
        """

    async def mark_listening(self, node_id: str, boot_id: str) -> None:
        """This node listens now: its span goes on, or another begins after a break."""

    async def listened(self, since: datetime) -> Listened:
        """When any node listened, from this instant on."""


class LeaseStore(Protocol):
    """The site availability budget, across all work (X2)."""

    async def take(self, lease: SiteLease) -> LeaseAnswer:
        """Idempotent for the same charger and workflow; a request id that it names is noted."""

    async def release(self, charger_id: str, workflow_id: str, *, run: str = "") -> bool: ...
    async def get(self, charger_id: str) -> SiteLease | None: ...
    async def down(self, site_ids: Sequence[str]) -> dict[str, int]:
        """Chargers of each site that are leased, or out of service through us, or both."""

    async def sweep(self) -> Sequence[SiteLease]:
        """Remove and return the expired ones."""


class OutOfServiceStore(Protocol):
    """Which chargers we took out of service and have not put back; rows outlive workflows and leases."""

    async def add(self, row: OutOfService) -> OutOfService:
        """Write it before the charger is told; a row that is there already stands and is returned.

        But for how long it has to stay up: there the newest that says so counts.
        """

    async def get(self, charger_id: str) -> OutOfService | None: ...
    async def remove(self, charger_id: str) -> bool:
        """After the charger is back, or on a person's word; whether there was one."""

    async def stranded(self, *, limit: int = 100) -> Sequence[OutOfService]:
        """Those that are connected and on which nobody works (no live lease), oldest first."""


class OutboxStore(Protocol):
    """Signals that are due, in order per charger."""

    def claim(self, limit: int) -> AbstractAsyncContextManager[Sequence[OutboxSignal]]:
        """Lock the oldest row of up to ``limit`` chargers; leaving without an exception marks them sent."""

    async def backlog(self) -> int: ...
    def wake_ups(self) -> AbstractAsyncContextManager[AsyncIterator[None]]: ...


class ArtifactStore(Protocol):
    """Artifacts, what is staged for signature, and who signed."""

    async def add(self, artifact: Artifact) -> None:
        """Raise Conflict if the same bytes or the same role and version are there, and were not rejected."""

    async def get(self, artifact_id: str) -> Artifact: ...
    async def find(self, *, limit: int = 100, cursor: str | None = None) -> Page[Artifact]: ...
    async def by_version(self, vendor_role: str, version: str) -> Artifact | None: ...
    async def set_phase(self, artifact_id: str, phase: ArtifactPhase, reason: str) -> None: ...
    async def set_evidence(self, artifact_id: str, piece: EvidenceRef) -> Artifact: ...
    async def remove_evidence(self, artifact_id: str, kind: EvidenceKind) -> Artifact: ...
    async def stage(self, staged: StagedRelease) -> None:
        """Replace what was staged for this artifact; sign-offs of other bytes no longer count."""

    async def staged(self, artifact_id: str) -> StagedRelease | None: ...
    async def overtaken(self, role: str, version: int) -> Sequence[str]:
        """Artifacts on their way that are staged as this version of a role, or as an earlier one."""

    async def add_sign_off(self, sign_off: SignOff) -> None:
        """Idempotent for the same key and bytes."""

    async def sign_offs(self, artifact_id: str) -> Sequence[SignOff]:
        """Those over the bytes that are staged now."""


class CampaignStore(Protocol):
    """Campaigns, their frozen targets, decisions and directives."""

    async def create(
        self, campaign: Campaign, targets: Sequence[Target], exclusions: Sequence[tuple[str, str]]
    ) -> None: ...
    async def get(self, campaign_id: str) -> Campaign: ...
    async def find(self, *, limit: int = 100, cursor: str | None = None) -> Page[Campaign]: ...
    async def set_phase(self, campaign_id: str, phase: CampaignPhase, reason: str, at: datetime) -> None: ...
    async def set_end(self, campaign_id: str, ends_at: datetime) -> None:
        """A later end than the plan's; of two, the later one stands, whichever is written last."""

    async def add_approval(self, campaign_id: str, approval: Approval) -> None: ...
    async def exclusions(self, campaign_id: str) -> Sequence[tuple[str, str]]: ...
    async def targets(
        self, campaign_id: str, wave: int | None = None, first: int = 0, count: int = 100_000
    ) -> Sequence[Target]:
        """By ordinal; ordinals count from 0 within a wave."""

    async def target(self, campaign_id: str, wave: int, charger_id: str) -> Target: ...
    async def target_history(self, charger_id: str, *, limit: int = 20) -> Sequence[Target]:
        """What campaigns did to one charger, over all of them: finished targets, latest finish first."""

    async def sent_elsewhere(
        self, campaign_id: str, charger_ids: Sequence[str], since: datetime
    ) -> Sequence[Target]:
        """What other campaigns sent to these chargers, if it went on after ``since`` or still does."""

    async def gone_back(self, campaign_id: str) -> Sequence[Target]:
        """The updated that say now that they ran what they run before it, and were sent nothing since."""

    async def note_fall_back(self, target: Target, to: str, reason: str, told: AuditEntry) -> bool:
        """It was updated, and failed after all, with what is told; whether that was not on record yet."""

    async def back_again(self, campaign_id: str, charger_ids: Sequence[str]) -> frozenset[str]:
        """Of these: who is connected and runs what the rollback brings, or what it ran before, as it says."""

    async def latest_targets(
        self, campaign_id: str, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Target]:
        """By charger, each once, from one instant a page: its rollback target if there is one."""

    async def outcome_groups(self, campaign_id: str) -> Sequence[OutcomeGroup]:
        """How many chargers of each OCPP version, vendor and model stand where, from one instant."""

    async def note_wave(self, campaign_id: str, wave: int, deadline: datetime) -> None:
        """A wave has begun, or its end was moved along by a pause."""

    async def wave_deadlines(self, campaign_id: str) -> dict[int, datetime]: ...
    async def add_targets(self, targets: Sequence[Target]) -> None:
        """Idempotent on (campaign, wave, charger): rollback waves are added when they are decided."""

    async def mark_dispatched(
        self,
        target: Target,
        while_in: CampaignPhase,
        subjects: Sequence[str] = (),
        after: str | None = None,
    ) -> bool:
        """Move it to DISPATCHED with its attempt, request, reason and ``dispatched_at``, if it may be sent.

        False, and nothing is written, if by now the campaign is in another phase or its end has come, the
        target is DONE or was called back, or a later attempt has begun; or if everything is halted, or its
        image or one of ``subjects`` withdrawn; or if the charger is not, or no more, through ``after``, the
        campaign that comes first.
        """

    async def recall(self, campaign_id: str, wave: int, charger_id: str, why: str) -> bool:
        """Note that somebody wants it back; False: nothing is under way for it, or somebody did before."""

    async def say_of_target(self, campaign_id: str, wave: int, charger_id: str, reason: str) -> None:
        """What is known of it, in words; nothing moves. One that is DONE keeps its last word."""

    async def unmark_dispatched(self, target: Target) -> None:
        """Nothing was sent after all: back to WAITING, with the reason and ``dispatched_at`` it has here.

        Only if it is DISPATCHED in this very attempt.
        """

    async def move_target(
        self,
        campaign_id: str,
        wave: int,
        charger_id: str,
        phase: TargetPhase,
        reason: str,
        *,
        at: datetime,
        attempt: int | None = None,
        request_id: int | None = None,
        deferred_for_session: bool = False,
    ) -> None:
        """A target that is DONE stays so. ``dispatched_at`` becomes ``at`` when the phase becomes DISPATCHED.

        ``attempt`` and ``request_id`` stay as they are where None is given; ``deferred_for_session`` is
        only ever raised, never lowered.
        """

    async def move_targets(
        self, campaign_id: str, wave: int, moves: Sequence[tuple[str, TargetPhase, str, bool]]
    ) -> None:
        """Many at once: (charger, phase, reason, deferred_for_session); DONE stays."""

    async def finish_target(
        self,
        campaign_id: str,
        wave: int,
        charger_id: str,
        outcome: Outcome,
        reason: str,
        at: datetime,
    ) -> None:
        """The first outcome stands; a later one is ignored."""

    async def finish_targets(
        self, campaign_id: str, wave: int, ends: Sequence[tuple[str, Outcome, str]], at: datetime
    ) -> None:
        """The same of many, each with its outcome and reason."""

    async def tallies(self, campaign_id: str) -> Sequence[WaveTally]: ...
    async def hindrances(self, campaign_id: str, *, limit: int = 8) -> Sequence[Hindrance]:
        """What its chargers wait for now, the most frequent first."""

    async def next_request_id(self) -> int:
        """Unique for ever, fits OCPP's 32-bit integer."""

    async def add_directive(self, directive: SignedDirective) -> None: ...
    async def directive(self, campaign_id: str, wave: int, shard: int) -> SignedDirective | None: ...
    async def use_directive(self, directive_id: str, charger_id: str, request_id: int) -> bool:
        """True the first time and for the same request again; False for another request (single use)."""

    async def add_decision(self, decision: Decision) -> None:
        """Idempotent on (campaign, wave, look, kind)."""

    async def decisions(self, campaign_id: str) -> Sequence[Decision]: ...


class TicketStore(Protocol):
    """Download tickets."""

    async def add(self, ticket: DownloadTicket) -> None: ...
    async def find(self, ticket_sha256: str) -> DownloadTicket | None: ...
    async def revoke_for(self, charger_id: str) -> int: ...


class AuditLog(Protocol):
    """Append-only, hash-chained."""

    async def append(self, entry: AuditEntry) -> AuditRow: ...
    async def rows(self, *, after: int = 0, limit: int = 1000) -> Sequence[AuditRow]: ...


class TokenStore(Protocol):
    """Bearer tokens of people and machines."""

    async def add(self, token: Token) -> None: ...
    async def find(self, secret_sha256: str) -> Token | None: ...
    async def revoke(self, token_id: str, at: datetime) -> bool: ...
    async def all(self) -> Sequence[Token]: ...
