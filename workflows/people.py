"""What people may ask of a campaign, and when: updates with validators, over the table of phases.

Who may is checked in the api; what the state allows, and four eyes, are checked here. A refused update
leaves no trace in the history. ``FirmwareCampaignWorkflow`` adds the flow.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.campaigns import (
        CampaignActivities,
        CampaignBrief,
        PhaseChange,
        RecordedApproval,
        SkipInput,
    )
    from storage.campaign import TERMINAL_CAMPAIGN_PHASES, Approval, CampaignPhase
    from storage.errors import Conflict
    from storage.ids import charger_workflow_id
    from workflows.messages import CampaignStatus, WaveEnd
    from workflows.options import OTA_STATE, locally
    from workflows.phases import CAMPAIGN_MOVES, CampaignMove, advance, can
    from workflows.signals import (
        RECALL,
        SET_PAUSED,
        STOP,
        AbortRequest,
        PersonRequest,
        Recall,
        SkipRequest,
        StopRequest,
    )
    from workflows.wave import WaveWorkflow

WaveHandle = workflow.ChildWorkflowHandle[WaveWorkflow, WaveEnd]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a campaign stops before its end, and whether updated chargers go back."""

    reason: str
    rollback: bool = False
    only_failed: bool = False
    """Of the updated chargers, only those whose update failed go back."""
    timed: bool = False
    """Nobody stopped it and no gate: its end came."""


class CampaignDesk:
    """A campaign's state, the only way to move it, and what people may ask."""

    def __init__(self, campaign_id: str) -> None:
        self._id = campaign_id
        self._brief: CampaignBrief | None = None
        self._phase = CampaignPhase.DRAFT
        self._reason = ""
        self._wave: int | None = None
        self._wave_name = ""
        self._look = 0
        self._judging = False
        self._held = False
        self._overruled = ""
        self._passed: dict[int | None, str] = {}
        """Waves that a person let pass: who, and why."""
        self._vote = ""
        self._needed = 0
        self._asked: set[str] = set()
        self._yes: list[str] = []
        self._ending: Ending | None = None
        self._child: WaveHandle | None = None
        self._lines: list[str] = []
        self._writing = asyncio.Lock()
        self._ends_at: datetime | None = None
        self._all_begun = False
        """Its last wave has run: nothing is left that its end could keep from beginning."""

    # --- moving ----------------------------------------------------------------------------------

    async def _move(
        self, move: CampaignMove, reason: str, *, actor: str = "", ending: Ending | None = None
    ) -> bool:
        """Move if the table allows it, and write it down; whether it moved."""
        async with self._writing:
            if not can(CAMPAIGN_MOVES, self._phase, move):
                return False
            self._phase = advance(CAMPAIGN_MOVES, self._phase, move)
            self._reason = reason
            self._ending = ending or self._ending
            workflow.upsert_search_attributes([OTA_STATE.value_set(self._phase.value)])
            self._show()
            change = PhaseChange(self._id, self._phase, reason, actor or f"campaign/{self._id}")
            await locally(CampaignActivities.set_campaign_phase, change, f"{self._phase.value}: {reason}")
            return True

    def _require(self, move: CampaignMove) -> None:
        advance(CAMPAIGN_MOVES, self._phase, move)

    async def _must(self, move: CampaignMove, reason: str, actor: str, ending: Ending | None = None) -> None:
        """Move on a person's word; Conflict if the state changed since it was validated."""
        if not await self._move(move, reason, actor=actor, ending=ending):
            raise Conflict(f"The campaign is {self._phase.value} by now.")

    def _late(self) -> bool:
        """Whether its end has come, and keeps anything from beginning."""
        return self._ends_at is not None and not self._all_begun and workflow.now() >= self._ends_at

    def _end_text(self) -> str:
        return f"{self._ends_at:%Y-%m-%d %H:%M %Z}" if self._ends_at else "none"

    def _require_time(self) -> None:
        if self._late():
            raise Conflict(
                f"Its end came at {self._end_text()}.",
                hint="Give it a later one first (ampwave campaign extend), or abort it.",
            )

    def _show(self) -> None:
        """The page that operators see in Temporal's UI."""
        head = f"**{self._phase.value}**: {self._reason}"
        where = f"Wave {self._wave_name}, look {self._look}." if self._wave is not None else ""
        workflow.set_current_details("\n\n".join(part for part in (head, where, *self._lines) if part))

    async def _tell_wave(self, *, stop: str = "", paused: bool = False) -> None:
        if self._child is None:
            return
        try:
            if stop:
                await self._child.signal(STOP, StopRequest(stop))
            else:
                await self._child.signal(SET_PAUSED, paused)
        except FailureError:
            workflow.logger.info("The wave ended before it could be told")

    # --- approving -------------------------------------------------------------------------------

    def _open_vote(self, needed: int, what: str) -> None:
        """From now on so many people have to say yes to ``what``."""
        self._vote, self._needed, self._asked, self._yes = what, needed, set(), []

    @workflow.update(description="One person's yes to exactly this plan and cohort.")
    async def approve(self, approval: Approval) -> None:
        """Counts once it is written down. A signed one is taken again while the campaign runs."""
        await workflow.wait_condition(lambda: self._brief is not None)
        if self._renews(approval):
            self._check_words(approval)
            again = RecordedApproval(self._id, approval, "going on")
            await locally(CampaignActivities.record_approval, again)
            return
        self._check_vote(approval)
        # Of this vote: the next one may be open by the time this yes is written down.
        asked, yes = self._asked, self._yes
        asked.add(approval.actor)
        try:
            await locally(
                CampaignActivities.record_approval, RecordedApproval(self._id, approval, self._vote)
            )
        except FailureError:
            asked.discard(approval.actor)
            raise
        yes.append(approval.actor)

    @approve.validator
    def _may_approve(self, approval: Approval) -> None:
        if self._brief is not None:  # It was started a moment ago; the handler waits and checks.
            (self._check_words if self._renews(approval) else self._check_vote)(approval)

    def _renews(self, approval: Approval) -> bool:
        """Whether it can only be to go on: a signed yes ends some day, and a campaign may take longer."""
        over = self._phase in TERMINAL_CAMPAIGN_PHASES
        return (
            bool(approval.evidence)
            and not over
            and not can(CAMPAIGN_MOVES, self._phase, CampaignMove.APPROVE)
        )

    def _check_vote(self, approval: Approval) -> None:
        self._require(CampaignMove.APPROVE)
        self._require_time()
        self._check_words(approval)
        if approval.actor in self._asked:
            raise Conflict(f"{approval.actor} approved already.", hint="Another person has to.")
        if len(self._yes) >= self._needed:
            raise Conflict("It has all the approvals that it needs.")

    def _check_words(self, approval: Approval) -> None:
        """Four eyes, on exactly this plan and cohort."""
        brief = self._plan()
        if approval.actor == brief.created_by:
            raise Conflict(f"{approval.actor} wrote this plan; somebody else has to approve it (four eyes).")
        if approval.plan_digest != brief.plan_digest:
            raise Conflict(
                "This approval is for another plan or cohort.", hint="Read the plan again and approve that."
            )

    def _plan(self) -> CampaignBrief:
        if self._brief is None:
            raise Conflict(f"Campaign {self._id} was not read yet.", hint="Try again in a moment.")
        return self._brief

    # --- pausing, resuming, proceeding -------------------------------------------------------------

    @workflow.update(description="Start no more chargers; what was sent goes on.")
    async def pause(self, request: PersonRequest) -> None:
        """Holds back even what is about to be sent: the node reads the phase before it sends."""
        await self._must(CampaignMove.PAUSE, f"{request.actor} paused it", request.actor)
        await self._tell_wave(paused=True)

    @pause.validator
    def _may_pause(self, request: PersonRequest) -> None:  # noqa: ARG002 - as the update has it
        self._require(CampaignMove.PAUSE)

    @workflow.update(description="Go on; a gate that had paused it looks again.")
    async def resume(self, request: PersonRequest) -> None:
        """Go on where it stood."""
        await self._must(CampaignMove.RESUME, f"{request.actor} resumed it", request.actor)
        await self._tell_wave(paused=False)

    @resume.validator
    def _may_resume(self, request: PersonRequest) -> None:  # noqa: ARG002 - as the update has it
        self._require(CampaignMove.RESUME)
        self._require_time()

    @workflow.update(description="Go on to the next wave although the gate holds.")
    async def proceed(self, request: PersonRequest) -> None:
        """A person's decision in place of the gate's, recorded as such."""
        reason = f"{request.actor} let wave {self._wave_name} pass: {request.reason}"
        wave = self._wave
        # Before the move: the gate looks at it as soon as the phase allows, and the end tells of it.
        self._overruled = self._passed[wave] = reason
        try:
            await self._must(CampaignMove.PROCEED, reason, request.actor)
        except Conflict:
            self._overruled = ""
            if self._passed.get(wave) == reason:
                del self._passed[wave]
            raise

    @proceed.validator
    def _may_proceed(self, request: PersonRequest) -> None:
        self._require(CampaignMove.PROCEED)
        self._require_time()
        if not (self._judging and self._held):
            raise Conflict("No gate is holding this campaign.", hint="Resume it, or wait for its gate.")
        if request.actor == self._plan().created_by:
            raise Conflict(
                f"{request.actor} wrote this plan; somebody else has to let it pass its gate (four eyes)."
            )
        if not request.reason.strip():
            raise Conflict("A gate is passed by with a reason only.", hint="Say why.")

    # --- stopping --------------------------------------------------------------------------------

    @workflow.update(description="Send nothing more; with rollback, take updated chargers back.")
    async def abort(self, request: AbortRequest) -> None:
        """Nothing new is sent from the moment the phase is written."""
        reason = f"{request.actor} aborted it: {request.reason}"
        ending = Ending(reason, request.rollback)
        await self._must(CampaignMove.ABORT, reason, request.actor, ending)
        await self._tell_wave(stop=reason)

    @abort.validator
    def _may_abort(self, request: AbortRequest) -> None:
        self._require(CampaignMove.ABORT)
        if request.rollback and self._phase is CampaignPhase.ROLLING_BACK:
            raise Conflict(
                f"Campaign {self._id} takes its chargers back already.",
                hint="Let it; an abort without rollback leaves those where they are that are not back yet.",
            )
        if request.rollback and (self._brief is None or self._brief.rollback_artifact_id is None):
            raise Conflict("The plan names no artifact to go back to.", hint="Abort without rollback.")

    @workflow.update(description="Take one charger out of the campaign.")
    async def skip_charger(self, request: SkipRequest) -> None:
        """Refused once something was sent to it."""
        order = SkipInput(self._id, request.charger_id, request.actor, request.reason)
        await locally(CampaignActivities.skip_target, order)

    @skip_charger.validator
    def _may_skip(self, request: SkipRequest) -> None:  # noqa: ARG002 - as the update has it
        if self._phase in TERMINAL_CAMPAIGN_PHASES:
            raise Conflict(f"The campaign is {self._phase.value}.")

    @workflow.update(description="Take one charger out, also while its update is under way.")
    async def recall_charger(self, request: SkipRequest) -> None:
        """Stops what can be stopped: what is not sent, or not fetched yet. Refused once it installs."""
        order = SkipInput(self._id, request.charger_id, request.actor, request.reason)
        wave = await locally(CampaignActivities.recall_target, order)
        if wave is None:
            return
        attempt = workflow.get_external_workflow_handle(charger_workflow_id(request.charger_id))
        why = f"{request.actor} called it back: {request.reason}"
        try:
            await attempt.signal(RECALL, Recall(self._id, wave, why))
        except FailureError:
            workflow.logger.info("Its attempt ended before it could be told")

    @recall_charger.validator
    def _may_recall(self, request: SkipRequest) -> None:
        self._may_skip(request)

    # --- asking ----------------------------------------------------------------------------------

    @workflow.query(description="Phase, wave and look, in words.")
    def status(self) -> CampaignStatus:
        """Where the campaign is."""
        return CampaignStatus(
            self._phase, self._reason, self._wave, self._wave_name, self._look, tuple(self._yes)
        )
