# long-file: every deed and record of one noun
"""Activities on a campaign as a whole: read its plan, write its phases, approvals and decisions."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from temporalio import activity

from activities.errors import mapped
from activities.fallen import settle
from activities.recalling import refuse_too_late
from activities.stores import Stores
from csms.capabilities import of_charger
from storage.artifact import Artifact
from storage.campaign import (
    FORWARD_AGAIN_WAVE,
    REHEARSAL_WAVE,
    ROLLBACK_WAVE_BASE,
    TERMINAL_CAMPAIGN_PHASES,
    UNDER_WAY,
    Approval,
    CampaignPhase,
    Decision,
    EndBehaviour,
    GatePolicy,
    Outcome,
    Pace,
    Target,
    TargetPhase,
    WavePlan,
    goes_back,
)
from storage.errors import Conflict, NotFound
from storage.parked import DOWNLOAD
from storage.ports import ChargerView

NAMED = 5
"""So many chargers stand in a sentence."""
_PAGE = 1000
_ALL = 1_000_000
_OUT_OF_REACH = "its maintenance ended without a result"
_STAYS = "Nobody is taken out of a rollback; a hold keeps a charger from it (ampwave charger hold)."
_AT_IT = "What is under way is called back with ampwave campaign recall."


@dataclass(frozen=True, slots=True)
class CampaignBrief:
    """What a campaign's workflow needs of its plan; no lists of chargers."""

    campaign_id: str
    name: str
    phase: CampaignPhase
    created_by: str
    plan_digest: str
    artifact_id: str
    version: str
    rollback_artifact_id: str | None
    rollback_version: str | None
    waves: tuple[WavePlan, ...]
    sizes: tuple[int, ...]
    gate: GatePolicy
    pace: Pace
    required_approvals: int
    start_at: datetime | None
    ends_at: datetime | None = None
    at_the_end: EndBehaviour = EndBehaviour.STOP
    rehearse_rollback: int | None = None


@dataclass(frozen=True, slots=True)
class PhaseChange:
    """A campaign enters a phase."""

    campaign_id: str
    phase: CampaignPhase
    reason: str
    actor: str
    """Who or what caused it; goes to the audit log."""


@dataclass(frozen=True, slots=True)
class RecordedApproval:
    """An approval, and of what: the start, or a wave."""

    campaign_id: str
    approval: Approval
    of: str


@dataclass(frozen=True, slots=True)
class CloseInput:
    """Finish every target that is not done. ``wave`` None: all forward waves; ``count`` None: to the end."""

    campaign_id: str
    outcome: Outcome
    reason: str
    wave: int | None = None
    first: int = 0
    count: int | None = None


@dataclass(frozen=True, slots=True)
class RollbackInput:
    """Which rollback wave to fill."""

    campaign_id: str
    wave: int
    only_failed: bool = False
    """Those that proved the version keep it."""


@dataclass(frozen=True, slots=True)
class RollbackFacts:
    """How a rollback ended, by what chargers run and not by what their attempts came to."""

    back: int
    """How many that were to go back do not say that they run the stopped version."""
    left: tuple[str, ...]
    """Who runs it: at most ``NAMED`` of them."""
    left_count: int


@dataclass(frozen=True, slots=True)
class RehearsalInput:
    """Which wave of a rehearsal to fill, and with how many at most."""

    campaign_id: str
    wave: int
    most: int


@dataclass(frozen=True, slots=True)
class SkipInput:
    """Take one charger out."""

    campaign_id: str
    charger_id: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExtendInput:
    """Give a campaign another end."""

    campaign_id: str
    ends_at: datetime
    former: datetime | None
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class SegmentInput:
    """Which models leave the campaign, and why."""

    campaign_id: str
    segments: tuple[str, ...]
    """``vendor/model``."""
    reason: str


class CampaignActivities:
    """The deeds and records of a campaign."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @activity.defn
    @mapped
    async def load_campaign(self, campaign_id: str) -> CampaignBrief:
        """The plan in brief, and how many targets each wave has."""
        campaign = await self._stores.campaigns.get(campaign_id)
        plan = campaign.plan
        totals = {tally.wave: tally.total for tally in await self._stores.campaigns.tallies(campaign_id)}
        artifact = await self._stores.artifacts.get(plan.artifact_id)
        rollback = None
        if plan.rollback_artifact_id is not None:
            rollback = await self._stores.artifacts.get(plan.rollback_artifact_id)
        return CampaignBrief(
            campaign_id=campaign_id,
            name=plan.name,
            phase=campaign.phase,
            created_by=campaign.created_by,
            plan_digest=campaign.plan_digest,
            artifact_id=plan.artifact_id,
            version=artifact.version,
            rollback_artifact_id=plan.rollback_artifact_id,
            rollback_version=rollback.version if rollback else None,
            # Who is in a wave is in the store; lists of chargers have no place in a history.
            waves=tuple(replace(wave, charger_ids=None, query=None) for wave in plan.waves),
            sizes=tuple(totals.get(wave, 0) for wave in range(len(plan.waves))),
            gate=plan.gate,
            pace=plan.pace,
            required_approvals=plan.approvals_needed,
            start_at=plan.start_at,
            ends_at=campaign.ends_at,
            at_the_end=plan.at_the_end,
            rehearse_rollback=plan.rehearse_rollback,
        )

    @activity.defn
    @mapped
    async def set_campaign_phase(self, given: PhaseChange) -> None:
        """Write a phase and its sentence, and the audit entry; at the end, too, who fell back by itself."""
        stores = self._stores
        if given.phase in TERMINAL_CAMPAIGN_PHASES:
            await settle(stores, given.campaign_id)
        await stores.campaigns.set_phase(given.campaign_id, given.phase, given.reason, stores.clock())
        await stores.record(
            given.actor,
            f"campaign.{given.phase.value}",
            f"campaign/{given.campaign_id}",
            reason=given.reason,
        )

    @activity.defn
    @mapped
    async def record_approval(self, given: RecordedApproval) -> None:
        """Write one person's yes."""
        await self._stores.campaigns.add_approval(given.campaign_id, given.approval)
        await self._stores.record(
            given.approval.actor,
            "campaign.approved",
            f"campaign/{given.campaign_id}",
            plan_digest=given.approval.plan_digest,
            of=given.of,
        )

    @activity.defn
    @mapped
    async def extend_campaign(self, given: ExtendInput) -> None:
        """Write another end, and who wanted it."""
        await self._stores.campaigns.set_end(given.campaign_id, given.ends_at)
        await self._stores.record(
            given.actor,
            "campaign.extended",
            f"campaign/{given.campaign_id}",
            ends_at=given.ends_at.isoformat(),
            former=given.former.isoformat() if given.former else None,
            reason=given.reason,
        )

    @activity.defn
    @mapped
    async def record_decision(self, given: Decision) -> None:
        """Write a verdict where anybody can compute it again."""
        await self._stores.campaigns.add_decision(given)
        await self._stores.record(
            f"campaign/{given.campaign_id}",
            "campaign.judged",
            f"campaign/{given.campaign_id}",
            wave=given.wave,
            look=given.look,
            kind=given.kind,
            verdict=given.verdict.value,
            reason=given.reason,
            inputs_sha256=given.inputs_sha256,
            result_sha256=given.result_sha256,
        )

    @activity.defn
    @mapped
    async def close_targets(self, given: CloseInput) -> int:
        """Give every target that is not done its last word; returns how many there were.

        One to which something was sent has failed, whatever ends the wave (R24).
        """
        campaigns, now = self._stores.campaigns, self._stores.clock()
        ends: defaultdict[int, list[tuple[str, Outcome, str]]] = defaultdict(list)
        for target in await self._open_targets(given):
            outcome, reason = given.outcome, given.reason
            if target.dispatched_at is not None:
                outcome, reason = Outcome.FAILED, target.reason or _OUT_OF_REACH
            elif outcome is Outcome.DEFERRED and target.phase is not TargetPhase.PENDING and target.reason:
                reason = f"{reason}: {target.reason}"  # Or nobody would know what it waited for.
            ends[target.wave].append((target.charger_id, outcome, reason))
        for wave, ended in ends.items():
            for part in range(0, len(ended), _PAGE):  # A statement locks all of them.
                await campaigns.finish_targets(given.campaign_id, wave, ended[part : part + _PAGE], now)
        return sum(map(len, ends.values()))

    async def _open_targets(self, given: CloseInput) -> list[Target]:
        waves = [given.wave] if given.wave is not None else await self._forward_waves(given.campaign_id)
        open_targets = []
        for wave in waves:
            targets = await self._stores.campaigns.targets(
                given.campaign_id, wave, given.first, given.count or _ALL
            )
            open_targets += [target for target in targets if target.phase is not TargetPhase.DONE]
        return open_targets

    async def _forward_waves(self, campaign_id: str) -> list[int]:
        tallies = await self._stores.campaigns.tallies(campaign_id)
        return [tally.wave for tally in tallies if tally.wave < ROLLBACK_WAVE_BASE]

    @activity.defn
    @mapped
    async def skip_target(self, given: SkipInput) -> None:
        """Take a charger out, unless something was sent to it already.

        Raises:
            NotFound: the campaign does not have it.
            Conflict: it is done, or being updated.
        """
        stores = self._stores
        target = await self._find(given.campaign_id, given.charger_id)
        reason = f"{given.actor} took it out: {given.reason}"
        if _was_told(target, reason):
            await self._note_out(given, "campaign.charger_skipped")
            return
        if target.phase not in (TargetPhase.PENDING, TargetPhase.WAITING):
            hint = _STAYS if target.phase is TargetPhase.DONE else _AT_IT
            raise Conflict(f"{given.charger_id} is {target.phase.value} in this campaign.", hint=hint)
        if target.dispatched_at is not None:
            raise Conflict(
                f"{given.charger_id} was sent the update already and waits for another attempt.",
                hint="Pause or abort the campaign; what was sent is judged, and taken back in a rollback.",
            )
        await stores.campaigns.finish_target(
            target.campaign_id, target.wave, target.charger_id, Outcome.SKIPPED, reason, stores.clock()
        )
        await self._cut_off(target)
        await self._note_out(given, "campaign.charger_skipped")

    async def _note_out(self, given: SkipInput, action: str, **detail: bool) -> None:
        await self._stores.record(
            given.actor,
            action,
            f"campaign/{given.campaign_id}",
            charger_id=given.charger_id,
            reason=given.reason,
            **detail,
        )

    async def _cut_off(self, target: Target) -> None:
        """Where it fetches its image ahead, the rest of it does not arrive any more."""
        name = target.charger_id
        parked, lease = await self._stores.parked.get(name), await self._stores.leases.get(name)
        ours = parked is not None and parked.campaign_id == target.campaign_id
        if ours and lease is not None and lease.kind == DOWNLOAD:
            await self._stores.tickets.revoke_for(name)

    @activity.defn
    @mapped
    async def recall_target(self, given: SkipInput) -> int | None:
        """Take a charger out whatever it is at (R31); the wave in which something is under way, or None.

        The same word again is the same recall: a worker may have died in the middle of the first.

        Raises:
            NotFound: the campaign does not have it.
            Conflict: it is done, installs already, or somebody else called it back before.
        """
        stores = self._stores
        target = await self._find(given.campaign_id, given.charger_id)
        why = f"{given.actor} called it back: {given.reason}"
        under_way = target.phase in UNDER_WAY
        if under_way:
            if not _was_told(target, why):
                await self._call_back(target, why)
            await stores.tickets.revoke_for(given.charger_id)
        elif target.phase is not TargetPhase.DONE:
            await self._take_out(target, why)
        elif not _was_told(target, why):
            raise Conflict(f"{given.charger_id} is done in this campaign.", hint=_STAYS)
        await self._note_out(given, "campaign.charger_recalled", under_way=under_way)
        return target.wave if under_way else None

    async def _call_back(self, target: Target, why: str) -> None:
        stores, name = self._stores, target.charger_id
        await refuse_too_late(stores, target)
        if not await stores.campaigns.recall(target.campaign_id, target.wave, name, why):
            raise Conflict(
                f"{name} was called back before, or its attempt has just ended.",
                hint="Look at it again: ampwave campaign targets",
            )

    async def _take_out(self, target: Target, why: str) -> None:
        """One that failed and waits for a repetition has failed: nobody takes that back."""
        outcome, reason = Outcome.SKIPPED, why
        if target.dispatched_at is not None:
            outcome, reason = Outcome.FAILED, f"{target.reason}; {why}"
        await self._stores.campaigns.finish_target(
            target.campaign_id, target.wave, target.charger_id, outcome, reason, self._stores.clock()
        )
        await self._cut_off(target)

    @activity.defn
    @mapped
    async def skip_segment(self, given: SegmentInput) -> int:
        """Take every charger of some models out that nothing was sent to yet; returns how many (R47)."""
        stores, left = self._stores, 0
        waiting = await self._open_targets(CloseInput(given.campaign_id, Outcome.SKIPPED, given.reason))
        segments = await self._segments([target.charger_id for target in waiting])
        for target in waiting:
            if target.dispatched_at is None and segments.get(target.charger_id) in given.segments:
                await stores.campaigns.finish_target(
                    target.campaign_id,
                    target.wave,
                    target.charger_id,
                    Outcome.SKIPPED,
                    given.reason,
                    stores.clock(),
                )
                left += 1
        await stores.record(
            f"campaign/{given.campaign_id}",
            "campaign.segment_excluded",
            f"campaign/{given.campaign_id}",
            segments=list(given.segments),
            chargers=left,
            reason=given.reason,
        )
        return left

    async def _segments(self, charger_ids: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(charger_ids), _PAGE):
            for view in await self._stores.chargers.views(charger_ids[start : start + _PAGE]):
                found[view.charger.charger_id] = f"{view.charger.vendor}/{view.charger.model}"
        return found

    async def _find(self, campaign_id: str, charger_id: str) -> Target:
        """Its target that is not done, or the last one that is."""
        found: Target | None = None
        for wave in sorted(await self._forward_waves(campaign_id)):
            with suppress(NotFound):
                found = await self._stores.campaigns.target(campaign_id, wave, charger_id)
                if found.phase is not TargetPhase.DONE:
                    break
        if found is None:
            raise NotFound("charger in this campaign", charger_id)
        return found

    @activity.defn
    @mapped
    async def add_rollback_targets(self, given: RollbackInput) -> int:
        """Aim the rollback artifact at every charger that runs what this campaign sent it; returns how many.

        What a charger runs is read from its twin, not from its outcome: one that was silent at its
        deadline and came back later with the bad version is found by a later rollback wave.
        """
        stores = self._stores
        campaign = await stores.campaigns.get(given.campaign_id)
        if campaign.plan.rollback_artifact_id is None:
            return 0
        artifact = await stores.artifacts.get(campaign.plan.rollback_artifact_id)
        decided = await stores.campaigns.targets(given.campaign_id, given.wave, 0, _ALL)
        if decided:
            return len(decided)  # A repeat of this activity: the wave stands as it was decided.
        affected = await self._affected(given, ahead=campaign.plan.pace.download_ahead_seconds is not None)
        await stores.campaigns.add_targets(_next_wave(affected, given.wave, artifact))
        return len(affected)

    @activity.defn
    @mapped
    async def measure_rollback(self, given: RollbackInput) -> RollbackFacts:
        """Who is back, and who runs the stopped version, after the last rollback wave (``given.wave``)."""
        campaign = await self._stores.campaigns.get(given.campaign_id)
        ahead = campaign.plan.pace.download_ahead_seconds is not None
        left = sorted(target.charger_id for target in await self._affected(given, ahead=ahead))
        taken: set[str] = set()
        for wave in range(ROLLBACK_WAVE_BASE, given.wave + 1):
            targets = await self._stores.campaigns.targets(given.campaign_id, wave, 0, _ALL)
            taken |= {target.charger_id for target in targets}
        return RollbackFacts(len(taken.difference(left)), tuple(left[:NAMED]), len(left))

    @activity.defn
    @mapped
    async def add_rehearsal_targets(self, given: RehearsalInput) -> int:
        """Who goes back, or forward again, in the rehearsal of a rollback; returns how many (X11).

        Back: the first of the canaries that proved the version, still run it and can go back. Forward: those
        that are back.
        """
        stores, campaigns = self._stores, self._stores.campaigns
        campaign = await campaigns.get(given.campaign_id)
        plan, forward = campaign.plan, given.wave == FORWARD_AGAIN_WAVE
        artifact_id = plan.artifact_id if forward else plan.rollback_artifact_id
        decided = await campaigns.targets(given.campaign_id, given.wave, 0, _ALL)
        if decided or artifact_id is None:
            return len(decided)  # A repeat of this activity: the wave stands as it was decided.
        artifact = await stores.artifacts.get(artifact_id)
        chosen = await self._rehearsing(given, 0 if not forward else REHEARSAL_WAVE)
        await campaigns.add_targets(_next_wave(chosen[: given.most], given.wave, artifact))
        return len(chosen[: given.most])

    async def _rehearsing(self, given: RehearsalInput, former: int) -> list[Target]:
        """Those of a former wave that run what it brought them, and may be sent on; nobody called back is.

        Who is back without having proven it in time goes forward again, too: nobody is left behind there.
        """
        members = await self._stores.campaigns.targets(given.campaign_id, former, 0, _ALL)
        late = _sent(members) if former == REHEARSAL_WAVE else []
        proven = {
            row.charger_id: row
            for row in members
            if not row.recalled and (row.outcome is Outcome.UPDATED or row in late)
        }
        chosen = []
        names = list(proven)
        for start in range(0, len(names), _PAGE):
            for view in await self._stores.chargers.views(names[start : start + _PAGE]):
                target, firmware = proven[view.charger.charger_id], view.twin.firmware
                runs = firmware is not None and firmware.version == target.to_version
                if runs and (former == REHEARSAL_WAVE or await self._can_go_back(view)):
                    chosen.append(target)
        return chosen

    async def _can_go_back(self, view: ChargerView) -> bool:
        profile = await self._stores.chargers.model(view.charger.vendor, view.charger.model)
        return of_charger(view.charger, view.twin, profile).known.goes_back is not False

    async def _affected(self, given: RollbackInput, *, ahead: bool) -> list[Target]:
        """Those that were sent their version and run it.

        Whatever their outcome: one that was skipped or found current after an attempt runs it through us.
        So does one that an earlier rollback wave brought back and that fell back to it by itself since.
        ``ahead``: so does one that was to fetch its image only, and installed it by itself.
        """
        tallies = await self._stores.campaigns.tallies(given.campaign_id)
        tried: dict[str, Target] = {}
        for wave in (tally.wave for tally in tallies if not goes_back(tally.wave)):
            targets = await self._stores.campaigns.targets(given.campaign_id, wave, 0, _ALL)
            sent = await self._given_theirs(targets) if ahead else _sent(targets)
            tried |= {row.charger_id: row for row in sent}
        left = [
            target
            for target in tried.values()
            if not (given.only_failed and target.outcome in (Outcome.UPDATED, Outcome.ALREADY_CURRENT))
        ]
        running = await self._running([target.charger_id for target in left])
        return [target for target in left if running.get(target.charger_id) == target.to_version]

    async def _given_theirs(self, targets: Sequence[Target]) -> list[Target]:
        """Those whose image left us, for an install or ahead of it."""
        asked = [target.charger_id for target in targets if target.dispatched_at is None]
        fetched: set[str] = set()
        for start in range(0, len(asked), _PAGE):
            for name, one in (await self._stores.parked.of(asked[start : start + _PAGE])).items():
                fetched |= {name} if one.campaign_id == targets[0].campaign_id else set()
        return [
            target
            for target in targets
            # Its row may be another campaign's by now; what it was is its outcome still.
            if _sent([target]) or target.charger_id in fetched or target.outcome is Outcome.UPDATED
        ]

    async def _running(self, charger_ids: list[str]) -> dict[str, str | None]:
        versions: dict[str, str | None] = {}
        for start in range(0, len(charger_ids), _PAGE):
            for view in await self._stores.chargers.views(charger_ids[start : start + _PAGE]):
                firmware = view.twin.firmware
                versions[view.charger.charger_id] = firmware.version if firmware else None
        return versions


def _sent(targets: Sequence[Target]) -> list[Target]:
    return [target for target in targets if target.dispatched_at is not None]


def _was_told(target: Target, why: str) -> bool:
    """Whether this very word took it out, or calls it back, already."""
    done = target.phase is TargetPhase.DONE
    return target.recalled == why or (done and (target.reason == why or target.reason.endswith(f"; {why}")))


def _next_wave(targets: Sequence[Target], wave: int, artifact: Artifact) -> list[Target]:
    """The same chargers in a later wave, in this order, from what they run now to an image's version."""
    return [
        Target(
            campaign_id=target.campaign_id,
            wave=wave,
            ordinal=ordinal,
            charger_id=target.charger_id,
            site_id=target.site_id,
            artifact_id=artifact.artifact_id,
            from_version=target.to_version,
            to_version=artifact.version,
        )
        for ordinal, target in enumerate(targets)
    ]
