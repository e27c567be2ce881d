"""Doubles of the campaign and artifact stores and of the orchestrator, for unit tests only."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from activities.metadata import CeremonyOrder
from signing.ports import CeremonyStamp
from storage.artifact import EVIDENCE_OPEN, Artifact, ArtifactPhase, SignOff, StagedRelease
from storage.campaign import (
    Approval,
    Campaign,
    CampaignPhase,
    Decision,
    Hindrance,
    SignedDirective,
    Target,
    TargetPhase,
    WaveTally,
)
from storage.command import CommandEnd, CommandState
from storage.errors import Conflict, NotFound
from storage.evidence import EvidenceKind, EvidenceRef, with_piece, without
from storage.ports import Page
from storage.standing import OutcomeGroup, key_of
from tests.support.memory import page_of
from tests.support.memory_certificates import MemoryCertificateActs
from tests.support.memory_operator import MemoryCommands
from workflows.campaign_end import check_extension
from workflows.charger_command import CommandInput
from workflows.log_retrieval import LogInput
from workflows.phases import CAMPAIGN_MOVES, CampaignMove, advance
from workflows.signals import ExtendRequest


class MemoryCampaigns:
    def __init__(self) -> None:
        self.all: dict[str, Campaign] = {}
        self.rows: dict[str, list[Target]] = {}
        self.left_out: dict[str, list[tuple[str, str]]] = {}
        self.verdicts: dict[str, list[Decision]] = {}
        self.directives: dict[tuple[str, int, int], SignedDirective] = {}
        self.deadlines: dict[tuple[str, int], datetime] = {}
        self.again: frozenset[str] = frozenset()
        self._request_ids = itertools.count(1)

    async def create(
        self, campaign: Campaign, targets: Sequence[Target], exclusions: Sequence[tuple[str, str]]
    ) -> None:
        if campaign.campaign_id in self.all:
            raise Conflict(f"Campaign {campaign.campaign_id} is there already.")
        self.all[campaign.campaign_id] = replace(campaign, ends_at=campaign.ends_at or campaign.plan.end_at)
        self.rows[campaign.campaign_id] = list(targets)
        self.left_out[campaign.campaign_id] = list(exclusions)

    async def get(self, campaign_id: str) -> Campaign:
        try:
            return self.all[campaign_id]
        except KeyError:
            raise NotFound("campaign", campaign_id) from None

    async def find(self, *, limit: int = 100, cursor: str | None = None) -> Page[Campaign]:
        newest = sorted(self.all.values(), key=lambda each: each.created_at, reverse=True)
        return page_of(newest, limit, cursor)

    async def set_phase(self, campaign_id: str, phase: CampaignPhase, reason: str, at: datetime) -> None:
        self.all[campaign_id] = replace(self.all[campaign_id], phase=phase, reason=reason)

    async def add_approval(self, campaign_id: str, approval: Approval) -> None:
        campaign = self.all[campaign_id]
        self.all[campaign_id] = replace(campaign, approvals=(*campaign.approvals, approval))

    async def exclusions(self, campaign_id: str) -> Sequence[tuple[str, str]]:
        return self.left_out.get(campaign_id, [])

    async def targets(
        self, campaign_id: str, wave: int | None = None, first: int = 0, count: int = 100_000
    ) -> Sequence[Target]:
        rows = [row for row in self.rows[campaign_id] if wave is None or row.wave == wave]
        return [row for row in rows if wave is None or row.ordinal >= first][:count]

    async def note_wave(self, campaign_id: str, wave: int, deadline: datetime) -> None:
        self.deadlines[campaign_id, wave] = deadline

    async def wave_deadlines(self, campaign_id: str) -> dict[int, datetime]:
        return {wave: at for (name, wave), at in self.deadlines.items() if name == campaign_id}

    async def latest_targets(
        self, campaign_id: str, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Target]:
        latest = {row.charger_id: row for row in sorted(self.rows[campaign_id], key=lambda row: row.wave)}
        return page_of([latest[name] for name in sorted(latest)], limit, cursor)

    async def back_again(self, campaign_id: str, charger_ids: Sequence[str]) -> frozenset[str]:
        return self.again & frozenset(charger_ids)

    async def outcome_groups(self, campaign_id: str) -> Sequence[OutcomeGroup]:
        rows = (await self.latest_targets(campaign_id, limit=100_000)).items
        counts = Counter(("ocpp2.0.1", "Volta", "V22", key_of(row)) for row in rows)
        return [OutcomeGroup(*kind, count) for kind, count in counts.items()]

    async def hindrances(self, campaign_id: str, *, limit: int = 8) -> Sequence[Hindrance]:
        waiting = [row.reason for row in self.rows[campaign_id] if row.phase is TargetPhase.WAITING]
        ordered = sorted(Counter(waiting).items(), key=lambda one: (-one[1], one[0]))
        return [Hindrance(*one) for one in ordered[:limit]]

    async def tallies(self, campaign_id: str) -> Sequence[WaveTally]:
        campaign = await self.get(campaign_id)
        found: dict[int, WaveTally] = {}
        for row in self.rows[campaign_id]:
            rollback = row.wave >= 1000
            name = f"rollback {row.wave - 999}" if rollback else campaign.plan.waves[row.wave].name
            tally = found.get(row.wave, WaveTally(row.wave, name, 0))
            phases = {**tally.by_phase, row.phase: tally.by_phase.get(row.phase, 0) + 1}
            outcomes = dict(tally.by_outcome)
            if row.outcome:
                outcomes[row.outcome] = outcomes.get(row.outcome, 0) + 1
            found[row.wave] = WaveTally(
                row.wave,
                name,
                tally.total + 1,
                phases,
                outcomes,
                tally.deferred_for_session + row.deferred_for_session,
            )
        return [found[wave] for wave in sorted(found)]

    async def decisions(self, campaign_id: str) -> Sequence[Decision]:
        return self.verdicts.get(campaign_id, [])

    async def directive(self, campaign_id: str, wave: int, shard: int) -> SignedDirective | None:
        return self.directives.get((campaign_id, wave, shard))

    async def next_request_id(self) -> int:
        return next(self._request_ids)


class MemoryArtifacts:
    def __init__(self) -> None:
        self.all: dict[str, Artifact] = {}
        self.stages: dict[str, StagedRelease] = {}
        self.signed: list[SignOff] = []

    async def add(self, artifact: Artifact) -> None:
        same_version = await self.by_version(artifact.vendor_role, artifact.version)
        for known in (self.all.get(artifact.artifact_id), same_version):
            if known is not None and known.phase is not ArtifactPhase.REJECTED:
                raise Conflict("It is there already.")
        self.all[artifact.artifact_id] = artifact
        self.stages.pop(artifact.artifact_id, None)
        self.signed = [one for one in self.signed if one.artifact_id != artifact.artifact_id]

    async def get(self, artifact_id: str) -> Artifact:
        try:
            return self.all[artifact_id]
        except KeyError:
            raise NotFound("artifact", artifact_id) from None

    async def find(self, *, limit: int = 100, cursor: str | None = None) -> Page[Artifact]:
        newest = sorted(self.all.values(), key=lambda each: each.uploaded_at, reverse=True)
        return page_of(newest, limit, cursor)

    async def by_version(self, vendor_role: str, version: str) -> Artifact | None:
        same = [a for a in self.all.values() if (a.vendor_role, a.version) == (vendor_role, version)]
        return min(same, key=lambda each: each.phase is ArtifactPhase.REJECTED, default=None)

    async def set_phase(self, artifact_id: str, phase: ArtifactPhase, reason: str) -> None:
        self.all[artifact_id] = replace(self.all[artifact_id], phase=phase, reason=reason)

    async def set_evidence(self, artifact_id: str, piece: EvidenceRef) -> Artifact:
        return await self._change(artifact_id, lambda pieces: with_piece(pieces, piece))

    async def remove_evidence(self, artifact_id: str, kind: EvidenceKind) -> Artifact:
        return await self._change(artifact_id, lambda pieces: without(pieces, kind))

    async def _change(self, artifact_id: str, change: Any) -> Artifact:
        row = await self.get(artifact_id)
        if row.phase not in EVIDENCE_OPEN:
            raise Conflict(f"The artifact is {row.phase.value}.")
        self.all[artifact_id] = replace(row, evidence=change(row.evidence))
        return self.all[artifact_id]

    async def stage(self, staged: StagedRelease) -> None:
        self.stages[staged.artifact_id] = staged

    async def staged(self, artifact_id: str) -> StagedRelease | None:
        return self.stages.get(artifact_id)

    async def overtaken(self, role: str, version: int) -> Sequence[str]:
        taken = [s.artifact_id for s in self.stages.values() if s.role == role and s.version <= version]
        return [one for one in taken if self.all[one].phase in EVIDENCE_OPEN]

    async def add_sign_off(self, sign_off: SignOff) -> None:
        if not any(
            (s.keyid, s.staged_sha256) == (sign_off.keyid, sign_off.staged_sha256) for s in self.signed
        ):
            self.signed.append(sign_off)

    async def sign_offs(self, artifact_id: str) -> Sequence[SignOff]:
        staged = self.stages.get(artifact_id)
        return [s for s in self.signed if staged and s.staged_sha256 == staged.sha256]


class MemoryOrchestrator(MemoryCertificateActs):
    """Moves campaigns by the real table of moves, once per update id, and remembers what it was asked."""

    def __init__(self, campaigns: MemoryCampaigns, artifacts: MemoryArtifacts) -> None:
        super().__init__()
        self._campaigns = campaigns
        self._artifacts = artifacts
        self._seen: set[str] = set()
        self.asked: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None
        self.commands: MemoryCommands | None = None
        self.registry: Any = None
        self.charger_says: CommandEnd | None = CommandEnd(
            CommandState.ANSWERED, "it answered Accepted", "Accepted"
        )
        """How every command ends; None: not in time."""
        self.passports: Callable[[Any], str] = lambda order: "f" * 64

    async def make_bundle(self, order: Any) -> int:
        await self._note("make_bundle", order)
        return 7

    async def make_passport(self, order: Any) -> str:
        await self._note("make_passport", order)
        return self.passports(order)

    async def move_charger(self, charger_id: str, move_id: str) -> None:
        await self._note("move_charger", charger_id, move_id)
        if self.registry is not None:
            await self.registry.apply_move(move_id, self.registry.now)

    async def visit_charger(self, charger_id: str) -> bool:
        await self._note("visit_charger", charger_id)
        return True

    async def reprovision_charger(self, charger_id: str, reprovision_id: str) -> bool:
        await self._note("reprovision_charger", charger_id, reprovision_id)
        return True

    async def retire_charger(self, charger_id: str) -> bool:
        await self._note("retire_charger", charger_id)
        return True

    async def start_publication(self, artifact_id: str) -> None:
        await self._note("start_publication", artifact_id)

    async def evidence_changed(self, artifact_id: str) -> None:
        await self._note("evidence_changed", artifact_id)

    async def look_again(self, artifact_id: str) -> None:
        await self._note("look_again", artifact_id)

    async def sign_off(self, sign_off: SignOff) -> None:
        await self._note("sign_off", sign_off)
        await self._artifacts.add_sign_off(sign_off)

    async def publish_ceremony(self, order: CeremonyOrder) -> CeremonyStamp:
        await self._note("publish_ceremony", order)
        return CeremonyStamp("f" * 64, {"root": 2, "targets": 3}, 7, 8, ("ada", "grace"))

    async def start_campaign(self, campaign_id: str) -> None:
        await self._note("start_campaign", campaign_id)
        await self._move(campaign_id, CampaignMove.SUBMIT, "Waiting for approvals.")

    async def approve(self, campaign_id: str, approval: Approval, update_id: str) -> None:
        if (await self._campaigns.get(campaign_id)).created_by == approval.actor:
            raise Conflict(f"{approval.actor} wrote this plan; somebody else has to approve it.")
        if await self._once(update_id, "approve", campaign_id, approval.actor):
            await self._campaigns.add_approval(campaign_id, approval)
            await self._move(campaign_id, CampaignMove.APPROVE, f"Approved by {approval.actor}.")

    async def pause(self, campaign_id: str, actor: str, update_id: str) -> None:
        if await self._once(update_id, "pause", campaign_id, actor):
            await self._move(campaign_id, CampaignMove.PAUSE, f"Paused by {actor}.")

    async def resume(self, campaign_id: str, actor: str, update_id: str) -> None:
        if await self._once(update_id, "resume", campaign_id, actor):
            await self._move(campaign_id, CampaignMove.RESUME, f"Resumed by {actor}.")

    async def abort(
        self, campaign_id: str, actor: str, reason: str, *, rollback: bool, update_id: str
    ) -> None:
        if await self._once(update_id, "abort", campaign_id, actor, reason, rollback):
            await self._move(campaign_id, CampaignMove.ABORT, reason)

    async def proceed(self, campaign_id: str, actor: str, reason: str, update_id: str) -> None:
        if await self._once(update_id, "proceed", campaign_id, actor, reason):
            await self._move(campaign_id, CampaignMove.PROCEED, reason)

    async def extend(
        self, campaign_id: str, ends_at: datetime, actor: str, reason: str, update_id: str
    ) -> None:
        campaign = await self._campaigns.get(campaign_id)
        now = campaign.created_at
        check_extension(ExtendRequest(ends_at, actor, reason), campaign.created_by, campaign.ends_at, now)
        if await self._once(update_id, "extend", campaign_id, actor, ends_at, reason):
            self._campaigns.all[campaign_id] = replace(campaign, ends_at=ends_at)

    async def skip_charger(
        self, campaign_id: str, charger_id: str, actor: str, reason: str, update_id: str
    ) -> None:
        await self._once(update_id, "skip", campaign_id, charger_id, actor, reason)

    async def recall_charger(
        self, campaign_id: str, charger_id: str, actor: str, reason: str, update_id: str
    ) -> None:
        await self._once(update_id, "recall", campaign_id, charger_id, actor, reason)

    async def send_command(self, given: CommandInput) -> None:
        await self._note("send_command", given)
        if self.commands and self.charger_says:
            at = self.commands.rows[given.command_id].requested_at
            await self.commands.close(given.command_id, self.charger_says, at)

    async def retrieve_log(self, given: LogInput) -> None:
        await self._note("retrieve_log", given)

    async def start_configuration(self, configuration_id: str) -> None:
        await self._note("start_configuration", configuration_id)

    async def log_arrived(self, charger_id: str, request_id: int) -> None:
        await self._note("log_arrived", charger_id, request_id)

    async def _once(self, update_id: str, *asked: Any) -> bool:
        if update_id in self._seen:
            return False
        await self._note(*asked)
        self._seen.add(update_id)
        return True

    async def _note(self, *asked: Any) -> None:
        if self.failure:
            raise self.failure
        self.asked.append(asked)

    async def _move(self, campaign_id: str, move: CampaignMove, reason: str) -> None:
        try:
            campaign = await self._campaigns.get(campaign_id)
        except NotFound:
            raise Conflict("Its workflow is over or was never started.") from None
        phase = advance(CAMPAIGN_MOVES, campaign.phase, move)
        await self._campaigns.set_phase(campaign_id, phase, reason, campaign.created_at)
