# long-file: all ports that activities ask, side by side
"""The ports in memory, for tests of rules and activities: only what those ask of them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from storage.artifact import EVIDENCE_OPEN, Artifact, ArtifactPhase, SignOff, StagedRelease
from storage.audit import AuditEntry
from storage.campaign import (
    REHEARSAL_WAVE,
    UNDER_WAY,
    Approval,
    Campaign,
    CampaignPhase,
    Decision,
    Outcome,
    SignedDirective,
    Target,
    TargetPhase,
    WaveTally,
    goes_back,
)
from storage.chain import First, standing
from storage.charger import (
    ChargerFilter,
    DownloadTicket,
    LeaseAnswer,
    ModelProfile,
    OutOfService,
    Route,
    Site,
    SiteLease,
)
from storage.errors import NotFound
from storage.events import StoredEvent
from storage.evidence import EvidenceRef, with_piece
from storage.journal import JournalRound, JournalRule, Partition
from storage.listening import Listened
from storage.parked import DOWNLOAD
from storage.ports import ChargerView, Page
from storage.query.checker import condition_of
from storage.upkeep import Before
from tests.support.memory_glances import MemoryGlances
from tests.support.memory_penalties import MemoryPenalties
from tests.support.query_oracle import Seen, holds

_UNUSED = datetime(2000, 1, 1, tzinfo=UTC)


class MemoryChargers(MemoryGlances):
    def __init__(self, leases: "MemoryLeases", penalties: MemoryPenalties | None = None) -> None:
        self.rows: dict[str, ChargerView] = {}
        self._penalties = penalties or MemoryPenalties()
        self.profiles: dict[tuple[str, str], ModelProfile] = {}
        self.site_rows: dict[str, Site] = {}
        self._leases = leases

    async def sites(self) -> Sequence[Site]:
        return list(self.site_rows.values())

    async def site(self, site_id: str) -> Site | None:
        return self.site_rows.get(site_id)

    async def model(self, vendor: str, model: str) -> ModelProfile | None:
        return self.profiles.get((vendor, model))

    async def get(self, charger_id: str) -> ChargerView:
        if charger_id not in self.rows:
            raise NotFound("charger", charger_id)
        return replace(
            self.rows[charger_id],
            maintenance=self._leases.rows.get(charger_id),
            penalty=self._penalties.rows.get(charger_id),
        )

    async def names(self, where: ChargerFilter) -> frozenset[str]:
        views = [view for name, view in self.rows.items() if name in where.charger_ids]
        seen = {view.charger.charger_id: Seen(view, view.last_message_at or _UNUSED) for view in views}
        query = where.query or ""
        return frozenset(name for name, each in seen.items() if holds(condition_of(query), each) is True)

    async def find(
        self, where: ChargerFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[ChargerView]:
        here = [name for name in sorted(self.rows) if self.rows[name].charger.site_id == where.site_id]
        return Page(tuple(await self.views(here[:limit])))

    async def credential(self, _: str) -> None: ...

    async def views(self, charger_ids: Sequence[str]) -> Sequence[ChargerView]:
        return [await self.get(name) for name in charger_ids if name in self.rows]


class MemoryRoutes:
    def __init__(self) -> None:
        self.rows: dict[str, Route] = {}
        self.heard: Callable[[], Listened] = lambda: Listened(datetime.min.replace(tzinfo=UTC))
        """When nodes listened; nobody ever marked anything unless a test says so."""

    async def resolve(self, charger_id: str) -> Route | None:
        return self.rows.get(charger_id)

    async def resolve_all(self, charger_ids: Sequence[str]) -> dict[str, Route]:
        found = [(name, await self.resolve(name)) for name in charger_ids]
        return {name: route for name, route in found if route is not None}

    async def live(self, charger_ids: Sequence[str]) -> frozenset[str]:
        return frozenset(charger_ids) & frozenset(self.rows)

    async def listened(self, since: datetime) -> Listened:
        told = self.heard()
        return replace(told, spans=tuple(span for span in told.spans if span.until >= since))


class MemoryOutOfService:
    def __init__(self, leases: "MemoryLeases", routes: MemoryRoutes) -> None:
        self.rows: dict[str, OutOfService] = leases.out_of_service
        self._leases = leases
        self._routes = routes

    async def add(self, row: OutOfService) -> OutOfService:
        stands = self.rows.get(row.charger_id, row)
        if row.steady_seconds is not None:
            stands = replace(stands, steady_seconds=row.steady_seconds)
        self.rows[row.charger_id] = stands
        return stands

    async def get(self, charger_id: str) -> OutOfService | None:
        return self.rows.get(charger_id)

    async def remove(self, charger_id: str) -> bool:
        return self.rows.pop(charger_id, None) is not None

    async def stranded(self, *, limit: int = 100) -> Sequence[OutOfService]:
        free = [row for row in self.rows.values() if row.charger_id not in self._leases.rows]
        return [row for row in free if row.charger_id in self._routes.rows][:limit]


class MemoryJournal:
    """Remembers by which rule, and when, it was kept."""

    def __init__(self) -> None:
        self.rounds: list[tuple[JournalRule, datetime]] = []

    async def partitions(self) -> Sequence[Partition]:
        return ()

    async def keep(self, rule: JournalRule, now: datetime) -> JournalRound:
        self.rounds.append((rule, now))
        return JournalRound()


class MemoryLeases:
    def __init__(self) -> None:
        self.rows: dict[str, SiteLease] = {}
        self.out_of_service: dict[str, OutOfService] = {}
        self.max_down: dict[str, int] = {}
        self.most_down: dict[str, int] = defaultdict(int)
        """The trace invariant: the highest number of chargers of a site that were ever away."""

    def _away(self, site_id: str) -> set[str]:
        leased = [row for row in self.rows.values() if row.kind != DOWNLOAD]
        rows: list[SiteLease | OutOfService] = [*leased, *self.out_of_service.values()]
        return {row.charger_id for row in rows if row.site_id == site_id}

    async def take(self, lease: SiteLease) -> LeaseAnswer:
        most = self.max_down.get(lease.site_id, 1)
        former = self.rows.get(lease.charger_id)
        others = len(self._away(lease.site_id) - {lease.charger_id})
        if former is not None:
            mine = (former.workflow_id, former.run) == (lease.workflow_id, lease.run)
            if mine:
                self.rows[lease.charger_id] = lease
            return LeaseAnswer(mine, others + 1, most, former.workflow_id)
        if others >= most and lease.kind != DOWNLOAD:
            return LeaseAnswer(False, others, most)
        self.rows[lease.charger_id] = lease
        if lease.kind != DOWNLOAD:
            self.most_down[lease.site_id] = max(self.most_down[lease.site_id], others + 1)
        return LeaseAnswer(True, others + 1, most)

    def _is(self, charger_id: str, workflow_id: str, run: str) -> bool:
        lease = self.rows.get(charger_id)
        return lease is not None and (lease.workflow_id, lease.run) == (workflow_id, run)

    async def release(self, charger_id: str, workflow_id: str, *, run: str = "") -> bool:
        if not self._is(charger_id, workflow_id, run):
            return False
        del self.rows[charger_id]
        return True

    async def get(self, charger_id: str) -> SiteLease | None:
        return self.rows.get(charger_id)

    async def down(self, site_ids: Sequence[str]) -> dict[str, int]:
        return {site: len(self._away(site)) for site in site_ids}

    async def sweep(self) -> Sequence[SiteLease]:
        swept, self.rows = list(self.rows.values()), {}
        return swept


class MemoryEvents:
    def __init__(self) -> None:
        self.rows: list[StoredEvent] = []
        self.late = 0.0

    async def signals_late(self) -> float:
        return self.late

    async def since(self, charger_id: str, instant: datetime, kinds: Sequence[str]) -> Sequence[StoredEvent]:
        return [
            row
            for row in self.rows
            if row.charger_id == charger_id and row.received_at >= instant and row.kind.value in kinds
        ]


class MemoryTickets:
    def __init__(self) -> None:
        self.rows: list[DownloadTicket] = []

    async def add(self, ticket: DownloadTicket) -> None:
        self.rows.append(ticket)

    async def revoke_for(self, charger_id: str) -> int:
        live = [row for row in self.rows if row.charger_id == charger_id and not row.revoked]
        self.rows = [replace(row, revoked=True) if row in live else row for row in self.rows]
        return len(live)


class MemoryAudit:
    def __init__(self) -> None:
        self.rows: list[AuditEntry] = []

    async def append(self, entry: AuditEntry) -> Any:
        self.rows.append(entry)

    def actions(self) -> list[str]:
        return [row.action for row in self.rows]


class MemoryArtifacts:
    def __init__(self) -> None:
        self.rows: dict[str, Artifact] = {}
        self.staged_rows: dict[str, StagedRelease] = {}
        self.sign_off_rows: list[SignOff] = []

    async def get(self, artifact_id: str) -> Artifact:
        if artifact_id not in self.rows:
            raise NotFound("artifact", artifact_id)
        return self.rows[artifact_id]

    async def by_version(self, vendor_role: str, version: str) -> Artifact | None:
        for row in self.rows.values():
            if (row.vendor_role, row.version) == (vendor_role, version):
                return row
        return None

    async def set_phase(self, artifact_id: str, phase: ArtifactPhase, reason: str) -> None:
        self.rows[artifact_id] = replace(self.rows[artifact_id], phase=phase, reason=reason)

    async def set_evidence(self, artifact_id: str, piece: EvidenceRef) -> Artifact:
        row = self.rows[artifact_id]
        self.rows[artifact_id] = replace(row, evidence=with_piece(row.evidence, piece))
        return self.rows[artifact_id]

    async def stage(self, staged: StagedRelease) -> None:
        self.staged_rows[staged.artifact_id] = staged

    async def staged(self, artifact_id: str) -> StagedRelease | None:
        return self.staged_rows.get(artifact_id)

    async def overtaken(self, role: str, version: int) -> Sequence[str]:
        return [
            one.artifact_id
            for one in self.staged_rows.values()
            if one.role == role
            and one.version <= version
            and self.rows[one.artifact_id].phase in EVIDENCE_OPEN
        ]

    async def add_sign_off(self, sign_off: SignOff) -> None:
        self.sign_off_rows.append(sign_off)

    async def sign_offs(self, artifact_id: str) -> Sequence[SignOff]:
        staged = self.staged_rows.get(artifact_id)
        return [row for row in self.sign_off_rows if staged and row.staged_sha256 == staged.sha256]


def _by_wave(row: Target) -> int:
    return row.wave


def _came_after(other: Target, row: Target) -> bool:
    """It was sent something later, or installed something by itself and counted as updated with it."""
    if other.dispatched_at is not None and row.dispatched_at is not None:
        return other.dispatched_at > row.dispatched_at
    ends = other.finished_at, row.finished_at
    return other.outcome is Outcome.UPDATED and None not in ends and ends[0] > ends[1]  # type: ignore[operator]


class MemoryCampaigns:
    def __init__(self) -> None:
        self.rows: dict[str, Campaign] = {}
        self.target_rows: dict[tuple[str, int, str], Target] = {}
        self.decision_rows: list[Decision] = []
        self.directive_rows: list[SignedDirective] = []
        self.uses: dict[tuple[str, str], int] = {}
        self.phases: list[CampaignPhase] = []
        self.target_moves: set[tuple[TargetPhase, TargetPhase]] = set()
        self.campaign_moves: set[tuple[CampaignPhase, CampaignPhase]] = set()
        self._last_request = 0
        self.views: Mapping[str, ChargerView] = {}
        self.audit = MemoryAudit()
        self.deadlines: dict[tuple[str, int], datetime] = {}

    async def create(self, campaign: Campaign, targets: Sequence[Target]) -> None:
        self.rows[campaign.campaign_id] = replace(campaign, ends_at=campaign.ends_at or campaign.plan.end_at)
        await self.add_targets(targets)

    async def get(self, campaign_id: str) -> Campaign:
        if campaign_id not in self.rows:
            raise NotFound("campaign", campaign_id)
        return self.rows[campaign_id]

    async def set_phase(self, campaign_id: str, phase: CampaignPhase, reason: str, at: datetime) -> None:
        self.campaign_moves.add((self.rows[campaign_id].phase, phase))
        self.rows[campaign_id] = replace(self.rows[campaign_id], phase=phase, reason=reason)
        self.phases.append(phase)

    async def set_end(self, campaign_id: str, ends_at: datetime) -> None:
        row = await self.get(campaign_id)
        self.rows[campaign_id] = replace(row, ends_at=max(ends_at, row.ends_at or ends_at))

    async def add_approval(self, campaign_id: str, approval: Approval) -> None:
        row = self.rows[campaign_id]
        others = [one for one in row.approvals if one.actor != approval.actor or not approval.evidence]
        self.rows[campaign_id] = replace(row, approvals=(*others, approval))

    async def targets(
        self, campaign_id: str, wave: int | None = None, first: int = 0, count: int = 100_000
    ) -> Sequence[Target]:
        found = [
            row
            for row in self.target_rows.values()
            if row.campaign_id == campaign_id and wave in (None, row.wave)
        ]
        ordered = sorted(found, key=lambda row: (row.wave, row.ordinal))
        return [row for row in ordered if first <= row.ordinal < first + count]

    async def target(self, campaign_id: str, wave: int, charger_id: str) -> Target:
        if (campaign_id, wave, charger_id) not in self.target_rows:
            raise NotFound("target", charger_id)
        return self.target_rows[campaign_id, wave, charger_id]

    async def target_history(self, charger_id: str, *, limit: int = 20) -> Sequence[Target]:
        done = [row for row in self.target_rows.values() if row.charger_id == charger_id and row.finished_at]
        return sorted(
            done, key=lambda row: row.finished_at or datetime.max.replace(tzinfo=UTC), reverse=True
        )[:limit]

    async def sent_elsewhere(
        self, campaign_id: str, charger_ids: Sequence[str], since: datetime
    ) -> Sequence[Target]:
        names = set(charger_ids)
        return [
            row
            for row in self.target_rows.values()
            if row.charger_id in names
            and row.campaign_id != campaign_id
            and row.dispatched_at is not None
            and (row.finished_at is None or row.finished_at >= since)
        ]

    async def gone_back(self, campaign_id: str) -> Sequence[Target]:
        return [
            row
            for row in await self.targets(campaign_id)
            if row.outcome is Outcome.UPDATED
            and not goes_back(row.wave)
            and row.dispatched_at is not None
            and row.from_version not in (None, row.to_version)
            and self._runs(row.charger_id) == row.from_version
            and not any(
                _came_after(other, row)
                for other in self.target_rows.values()
                if other.charger_id == row.charger_id
            )
        ]

    def _runs(self, charger_id: str) -> str | None:
        firmware = self.views[charger_id].twin.firmware if charger_id in self.views else None
        return firmware.version if firmware else None

    async def note_fall_back(self, target: Target, to: str, reason: str, told: AuditEntry) -> bool:
        key = target.campaign_id, target.wave, target.charger_id
        row = self.target_rows[key]
        if row.outcome is not Outcome.UPDATED:
            return False
        self.target_rows[key] = replace(row, outcome=Outcome.FAILED, reason=reason, fell_back_to=to)
        await self.audit.append(told)
        return True

    async def add_targets(self, targets: Sequence[Target]) -> None:
        for target in targets:
            self.target_rows.setdefault((target.campaign_id, target.wave, target.charger_id), target)

    async def mark_dispatched(
        self,
        target: Target,
        while_in: CampaignPhase,
        subjects: Sequence[str] = (),
        after: str | None = None,
    ) -> bool:
        self.marked_with = tuple(subjects)
        key = target.campaign_id, target.wave, target.charger_id
        row = self.target_rows[key]
        if self.rows[target.campaign_id].phase is not while_in or row.attempt > target.attempt:
            return False
        if row.phase is TargetPhase.DONE or row.recalled:
            return False
        first = self.standings(after).get(target.charger_id) if after else None
        if after and not (first and first.proven):
            return False
        ends_at, at = self.rows[target.campaign_id].ends_at, target.dispatched_at
        if while_in is CampaignPhase.RUNNING and ends_at is not None and at is not None and at >= ends_at:
            return False
        self.target_moves.add((row.phase, TargetPhase.DISPATCHED))
        self.target_rows[key] = replace(
            target, phase=TargetPhase.DISPATCHED, deferred_for_session=row.deferred_for_session
        )
        return True

    def standings(self, after: str) -> dict[str, Before]:
        """As the upkeep store tells it, by the last wave of each."""
        begun = [wave for name, wave in self.deadlines if name == after and wave < REHEARSAL_WAVE]
        rows = sorted((row for row in self.target_rows.values() if row.campaign_id == after), key=_by_wave)
        own: dict[str, int] = {}
        found: dict[str, Before] = {}
        for row in rows:
            first = First(after, self.rows[after].phase, max(begun, default=None))
            last = (row.wave, row.outcome, row.reason or row.phase.value)
            found[row.charger_id] = standing(first, own.setdefault(row.charger_id, row.wave), last)
        return found

    async def recall(self, campaign_id: str, wave: int, charger_id: str, why: str) -> bool:
        key = campaign_id, wave, charger_id
        row = self.target_rows[key]
        if row.phase not in UNDER_WAY or row.recalled:
            return False
        self.target_rows[key] = replace(row, recalled=why, reason=why)
        return True

    async def say_of_target(self, campaign_id: str, wave: int, charger_id: str, reason: str) -> None:
        key = campaign_id, wave, charger_id
        if self.target_rows[key].phase is not TargetPhase.DONE:
            self.target_rows[key] = replace(self.target_rows[key], reason=reason)

    async def unmark_dispatched(self, target: Target) -> None:
        key = target.campaign_id, target.wave, target.charger_id
        row = self.target_rows[key]
        if (row.phase, row.attempt) == (TargetPhase.DISPATCHED, target.attempt):
            self.target_moves.add((row.phase, TargetPhase.WAITING))
            self.target_rows[key] = replace(
                row, phase=TargetPhase.WAITING, reason=target.reason, dispatched_at=target.dispatched_at
            )

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
        row = self.target_rows[campaign_id, wave, charger_id]
        if row.phase is TargetPhase.DONE:
            return
        self.target_moves.add((row.phase, phase))
        self.target_rows[campaign_id, wave, charger_id] = replace(
            row,
            phase=phase,
            reason=reason,
            attempt=row.attempt if attempt is None else attempt,
            request_id=row.request_id if request_id is None else request_id,
            dispatched_at=at if phase is TargetPhase.DISPATCHED else row.dispatched_at,
            deferred_for_session=row.deferred_for_session or deferred_for_session,
        )

    async def move_targets(
        self, campaign_id: str, wave: int, moves: Sequence[tuple[str, TargetPhase, str, bool]]
    ) -> None:
        for name, phase, reason, session in moves:
            await self.move_target(
                campaign_id, wave, name, phase, reason, at=_UNUSED, deferred_for_session=session
            )

    async def finish_target(
        self, campaign_id: str, wave: int, charger_id: str, outcome: Outcome, reason: str, at: datetime
    ) -> None:
        row = self.target_rows[campaign_id, wave, charger_id]
        if row.outcome is None:
            self.target_rows[campaign_id, wave, charger_id] = replace(
                row, phase=TargetPhase.DONE, outcome=outcome, reason=reason, finished_at=at
            )

    async def finish_targets(
        self, campaign_id: str, wave: int, ends: Sequence[tuple[str, Outcome, str]], at: datetime
    ) -> None:
        for name, outcome, reason in ends:
            await self.finish_target(campaign_id, wave, name, outcome, reason, at)

    async def note_wave(self, campaign_id: str, wave: int, deadline: datetime) -> None:
        self.deadlines[campaign_id, wave] = deadline

    async def tallies(self, campaign_id: str) -> Sequence[WaveTally]:
        waves: defaultdict[int, list[Target]] = defaultdict(list)
        for row in self.target_rows.values():
            if row.campaign_id == campaign_id:
                waves[row.wave].append(row)
        return [
            WaveTally(
                wave,
                str(wave),
                len(rows),
                Counter(row.phase.value for row in rows),
                Counter(row.outcome.value for row in rows if row.outcome),
            )
            for wave, rows in sorted(waves.items())
        ]

    async def next_request_id(self) -> int:
        self._last_request += 1
        return self._last_request

    async def add_directive(self, directive: SignedDirective) -> None:
        self.directive_rows.append(directive)

    async def directive(self, campaign_id: str, wave: int, shard: int) -> SignedDirective | None:
        for row in reversed(self.directive_rows):
            if (row.campaign_id, row.wave, row.shard) == (campaign_id, wave, shard):
                return row
        return None

    async def use_directive(self, directive_id: str, charger_id: str, request_id: int) -> bool:
        return self.uses.setdefault((directive_id, charger_id), request_id) == request_id

    async def add_decision(self, decision: Decision) -> None:
        self.decision_rows.append(decision)

    def outcomes(self, campaign_id: str, wave: int | None = None) -> dict[str, Outcome | None]:
        """For assertions: the last word on every forward target, or on those of one wave."""
        return {
            row.charger_id: row.outcome
            for row in self.target_rows.values()
            if row.campaign_id == campaign_id and (row.wave == wave if wave is not None else row.wave < 1000)
        }
