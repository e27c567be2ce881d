"""A campaign: approvals, waves with a gate between them, and the way back.

Measure, judge, act: measuring and acting are activities, judging is ``gate``. What people may ask, and
the only way to move the phase, are in ``people``.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.campaigns import (
        CampaignActivities,
        CampaignBrief,
        CloseInput,
        RehearsalInput,
        RollbackFacts,
        RollbackInput,
        SegmentInput,
    )
    from activities.facts import GroupFacts
    from activities.fleet import FleetActivities, WaveQuery
    from activities.health import HealthActivities
    from storage.campaign import (
        REHEARSAL_NAMES,
        ROLLBACK_WAVE_BASE,
        CampaignPhase,
        GatePolicy,
        Outcome,
        VerdictWord,
        WavePlan,
        goes_back,
    )
    from storage.errors import AmpwaveError
    from storage.ids import wave_workflow_id
    from workflows import gate
    from workflows.campaign_end import EndDesk
    from workflows.campaign_words import completed, left_behind, open_end
    from workflows.gate.patience import Patience
    from workflows.lasting import to_the_end
    from workflows.messages import CampaignInput, WaveEnd, WaveInput
    from workflows.options import OTA_CAMPAIGN, OTA_FIRMWARE, keywords, locally, remotely
    from workflows.people import Ending
    from workflows.phases import CampaignMove
    from workflows.wave import WaveWorkflow

ROLLBACK_ROUNDS = 3
"""Chargers that come back late with the stopped version, or fall back to it, are looked for this often."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class FirmwareCampaignWorkflow(EndDesk):
    """One campaign; id ``campaign/{id}``."""

    @workflow.init
    def __init__(self, given: CampaignInput) -> None:
        super().__init__(given.campaign_id)
        self._baseline: GroupFacts | None = None
        self._spent = gate.History()
        self._halted = ""
        self._keeper: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, given: CampaignInput) -> CampaignPhase:  # noqa: ARG002 - __init__ has it
        """From approval to the last phase, which is returned."""
        phase = await to_the_end(self._work(), self._cancelled)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return phase

    def _cancelled(self) -> None:
        self._ending = self._ending or Ending("its workflow was cancelled")
        if self._child is not None:
            self._child.cancel()

    async def _work(self) -> CampaignPhase:
        brief = self._brief = await locally(CampaignActivities.load_campaign, self._id)
        workflow.upsert_search_attributes([OTA_FIRMWARE.value_set(brief.version)])
        self._ends_at = brief.ends_at
        if self._ends_at is not None:
            self._keeper = asyncio.create_task(self._keep_to_end(brief.at_the_end))
        self._open_vote(brief.required_approvals, "the start")
        await self._move(CampaignMove.SUBMIT, "it waits for approval", actor=brief.created_by)
        await self._counted()
        await self._until_start(brief)
        await self._move_on(CampaignMove.APPROVE, f"approved by {', '.join(self._yes)}")
        if not self._ending:
            self._baseline = await locally(FleetActivities.measure_cohort, self._id)
        for number, plan in enumerate(brief.waves):
            if not self._ending:
                await self._pass_wave(brief, number, plan)
            if number == 0 and brief.rehearse_rollback:
                await self._rehearse(brief, brief.rehearse_rollback)
        await self._move_on(CampaignMove.COMPLETE, completed(tuple(self._passed.values())))
        return await self._wind_up(brief, self._ending) if self._ending else self._phase

    # --- waiting ---------------------------------------------------------------------------------

    async def _counted(self) -> None:
        """Wait for the people that the vote needs."""
        await self._until(lambda: len(self._yes) >= self._needed)

    async def _until_start(self, brief: CampaignBrief) -> None:
        if brief.start_at is not None and brief.start_at > workflow.now():
            planned = f"approved by {', '.join(self._yes)}; it starts at {brief.start_at:%Y-%m-%d %H:%M %Z}"
            await self._move(CampaignMove.SUBMIT, planned)
            seconds = (brief.start_at - workflow.now()).total_seconds()
            await self._calm(seconds, "until the planned start")

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for something, or for the end of the campaign."""
        await workflow.wait_condition(lambda: condition() or self._ending is not None)

    async def _calm(self, seconds: float, what: str) -> None:
        """Let time pass, unless the campaign ends or a person lets the wave pass."""
        if seconds <= 0:
            return
        try:
            await workflow.wait_condition(
                lambda: self._ending is not None or bool(self._overruled),
                timeout=timedelta(seconds=seconds),
                timeout_summary=what,
            )
        except TimeoutError:
            return

    async def _running(self) -> None:
        await self._until(lambda: self._phase is CampaignPhase.RUNNING)

    async def _move_on(self, move: CampaignMove, reason: str, ending: Ending | None = None) -> None:
        """Move as soon as nobody has paused the campaign; not at all if it ends."""
        while not self._ending and not await self._move(move, reason, ending=ending):
            await self._running()

    # --- one wave --------------------------------------------------------------------------------

    async def _pass_wave(self, brief: CampaignBrief, number: int, plan: WavePlan) -> None:
        """Approval if it needs one, the wave, its gate, its soak, and the gate again after it."""
        self._wave, self._wave_name, self._look, self._overruled = number, plan.name, 0, ""
        if plan.voters:
            self._open_vote(plan.voters, f"wave {plan.name}")
            await self._move_on(CampaignMove.AWAIT_APPROVAL, f"wave {plan.name} waits for approval")
            await self._counted()
            await self._move_on(CampaignMove.APPROVE, f"wave {plan.name}: approved by {', '.join(self._yes)}")
        await self._running()
        if self._ending:
            return
        end = await self._run_wave(number, plan.name, brief.sizes[number], brief.version)
        self._halted = end.halted
        self._all_begun = self._ending is None and number == len(brief.waves) - 1
        settle = 0.0 if end.stopped else brief.pace.settle_seconds
        await self._gate(brief, end, settle, f"wave {plan.name} settles")
        if plan.soak_seconds > 0 and not self._ending and not self._overruled:
            await self._gate(brief, end, plan.soak_seconds, f"wave {plan.name} soaks")

    async def _rehearse(self, brief: CampaignBrief, most: int) -> None:
        """Canaries go back, prove the former version, and go forward again; nobody else is updated before."""
        for wave, name in REHEARSAL_NAMES.items():
            await self._running()
            if self._ending:
                return
            self._wave, self._wave_name, self._look, self._overruled = wave, name, 0, ""
            given = RehearsalInput(self._id, wave, most)
            count = await locally(CampaignActivities.add_rehearsal_targets, given)
            if not count and not goes_back(wave):
                return  # Nobody is back; a person let that pass.
            version = (brief.rollback_version or "") if goes_back(wave) else brief.version
            end = await self._run_wave(wave, name, count, version) if count else WaveEnd()
            self._halted = end.halted
            settle = 0.0 if end.stopped else brief.pace.settle_seconds
            await self._gate(brief, end, settle, f"{name} settles", gate.REHEARSAL)

    async def _run_wave(self, number: int, name: str, count: int, version: str) -> WaveEnd:
        brief, own = self._plan(), self._own_rules(number)
        self._show()
        self._child = await workflow.start_child_workflow(
            WaveWorkflow.run,
            WaveInput(
                campaign_id=self._id,
                wave=number,
                name=name,
                count=count,
                version=version,
                pace=own.paced(brief.pace) if own else brief.pace,
                early_stop_failures=self._gate_of(number).early_stop_failures,
                max_failure_share=self._gate_of(number).max_failure_share,
            ),
            id=wave_workflow_id(self._id, number),
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"{name}: {count} chargers to {version}",
            search_attributes=keywords((OTA_CAMPAIGN, self._id), (OTA_FIRMWARE, version)),
        )
        await self._tell_new_wave(number)
        try:
            return await self._child
        except FailureError as error:
            # Its targets keep their phases; the gate sees who has no outcome and holds for a person.
            return WaveEnd(stopped=f"the wave broke off: {error.cause or error}")
        finally:
            self._child = None

    def _own_rules(self, wave: int) -> WavePlan | None:
        """What a forward wave has of its own (R5); a rollback wave has the campaign's."""
        waves = self._plan().waves
        return waves[wave] if wave < len(waves) else None

    def _gate_of(self, wave: int) -> GatePolicy:
        own, policy = self._own_rules(wave), self._plan().gate
        return own.gated(policy) if own else policy

    async def _tell_new_wave(self, number: int) -> None:
        """A pause or an end that came while the wave was being started."""
        forward = number < ROLLBACK_WAVE_BASE
        if self._phase is CampaignPhase.ABORTING or (forward and self._ending is not None):
            await self._tell_wave(stop=self._reason)
        elif self._phase is CampaignPhase.PAUSED:
            await self._tell_wave(paused=True)

    # --- the gate --------------------------------------------------------------------------------

    async def _gate(
        self, brief: CampaignBrief, end: WaveEnd, pause: float, what: str, kind: str = gate.GATE
    ) -> None:
        """Look until the gate opens, the campaign ends, or a person decides."""
        self._judging, self._held, looks = True, False, 0
        waiting = Patience(brief.gate.health, workflow.now())
        while not self._ending:
            await self._calm(pause, what)
            await self._running()
            if self._ending or self._overruled:
                break
            decided = await self._judge(brief, end.halted, kind)
            if decided.word is VerdictWord.PROCEED:
                break
            if decided.word is VerdictWord.ABORT:
                rollback = not end.halted and brief.rollback_artifact_id is not None
                await self._move_on(
                    CampaignMove.ABORT, decided.reason, Ending(decided.reason, rollback=rollback)
                )
                break
            self._held = True
            await self._exclude(decided)
            if gathering := waiting.gathers(decided, workflow.now()):
                looks, pause, what = 0, gathering, "until there is more evidence"
                continue
            looks, pause, what = looks + 1, brief.gate.hold_seconds, "until the gate looks again"
            if looks >= brief.gate.max_looks:
                await self._move_on(CampaignMove.PAUSE, f"a person has to decide: {decided.reason}")
                looks, pause = 0, 0.0
        self._judging = False

    async def _exclude(self, decided: gate.Verdict) -> None:
        """The models that a policy takes out instead of stopping everybody (R47)."""
        if decided.health is not None and decided.health.bad_segments:
            given = SegmentInput(self._id, decided.health.bad_segments, decided.health.reason)
            await remotely(CampaignActivities.skip_segment, given, "a bad model leaves the campaign")

    async def _judge(self, brief: CampaignBrief, halted: str, kind: str) -> gate.Verdict:
        """Measure, judge, record."""
        wave = self._wave or 0
        measured = await locally(FleetActivities.measure_wave, WaveQuery(self._id, wave))
        facts = gate.with_context(measured, self._baseline, halted)
        health = await self._health(brief, wave, kind)
        self._look += 1
        look = gate.Look(self._id, wave, self._look, workflow.now(), kind)
        rules = self._rules()
        record, decided = gate.judged(look, self._gate_of(wave), facts, health, rules)
        said = f"gate of {self._wave_name}: {decided.word.value}. {decided.reason}"
        await locally(CampaignActivities.record_decision, record, said)
        if decided.health is not None:
            self._spent = decided.health.history
        self._lines.append(f"- {self._wave_name}: **{decided.word.value}**. {decided.reason}")
        self._show()
        return decided

    def _rules(self) -> str:
        """Those of this version, or the ones by which a campaign was judged that began before it."""
        if workflow.patched("gate-6"):
            return gate.RULES
        return "gate-5" if workflow.patched("gate-5") else "gate-4"

    async def _health(self, brief: CampaignBrief, wave: int, kind: str) -> gate.Health | None:
        """Evidence, where the plan asks for it; that none could be had is a fact, too (R44)."""
        if brief.gate.health is None or kind != gate.GATE:
            return None
        try:
            query = WaveQuery(self._id, wave)
            evidence = await remotely(HealthActivities.measure_health, query, "the health of both groups")
        except ActivityError as error:
            workflow.logger.warning("Health could not be measured: %s", error.cause or error)
            return gate.Health(None, self._spent)
        return gate.Health(evidence, self._spent)

    # --- the end ---------------------------------------------------------------------------------

    async def _wind_up(self, brief: CampaignBrief, ending: Ending) -> CampaignPhase:
        """Nothing new is sent; who was never touched is told so; updated chargers go back if asked."""
        await self._move(CampaignMove.ABORT, ending.reason)
        await locally(
            CampaignActivities.close_targets, CloseInput(self._id, Outcome.CANCELLED, ending.reason)
        )
        if ending.timed and self._looks_once(ending):
            ending = await self._last_look(brief, ending)
        if ending.rollback and brief.rollback_artifact_id is not None:
            await self._roll_back(brief, ending)
        await self._move(CampaignMove.STOPPED, self._reason)
        return self._phase

    def _looks_once(self, ending: Ending) -> bool:
        """Not where everybody goes back, or rehearses: the wave before that has just passed its gate."""
        if not workflow.patched("end-looks-once"):
            return not ending.rollback
        return self._wave not in REHEARSAL_NAMES and (ending.only_failed or not ending.rollback)

    async def _last_look(self, brief: CampaignBrief, ending: Ending) -> Ending:
        """What the end cut short is judged once: it must not hide a release that would have been stopped."""
        if self._wave is None or self._halted:
            return ending
        await workflow.sleep(brief.pace.settle_seconds, summary="before the last look")
        decided = await self._judge(brief, self._halted, gate.GATE)
        bad = decided.word is VerdictWord.ABORT and brief.rollback_artifact_id is not None
        self._reason = f"{ending.reason}; {decided.reason}"
        only_failed = ending.only_failed and not bad
        return Ending(self._reason, rollback=bad or only_failed, only_failed=only_failed, timed=True)

    async def _roll_back(self, brief: CampaignBrief, ending: Ending) -> None:
        """Waves of their own, through the same engine, until nobody runs the stopped version."""
        version = brief.rollback_version or ""
        back = 0
        for wave in range(ROLLBACK_WAVE_BASE, ROLLBACK_WAVE_BASE + ROLLBACK_ROUNDS):
            count = await locally(
                CampaignActivities.add_rollback_targets, RollbackInput(self._id, wave, ending.only_failed)
            )
            stopped = wave > ROLLBACK_WAVE_BASE and self._phase is not CampaignPhase.ROLLING_BACK
            if count and stopped and workflow.patched("who-is-back"):
                await self._cancel(wave, self._reason)  # A person ended it while they were being counted.
            if not count or stopped:
                break
            await self._move(
                CampaignMove.ROLL_BACK, f"{open_end(ending.reason)}; {count} chargers go back to {version}"
            )
            decided = await self._roll_back_wave(brief, wave, count)
            if decided is None:
                return
            if decided.word is not VerdictWord.PROCEED:
                failed = f"{ending.reason}; rollback: {decided.reason}"
                await self._move(CampaignMove.ABORT if ending.only_failed else CampaignMove.FAIL, failed)
                return
            back += count
        if self._phase is CampaignPhase.ROLLING_BACK and workflow.patched("who-is-back"):
            last = RollbackInput(self._id, wave, ending.only_failed)
            facts = await remotely(CampaignActivities.measure_rollback, last, "see who is back")
            if facts.left_count:
                await self._leave_behind(replace(last, wave=wave + 1), ending, facts)
                return
            back = facts.back
        # Where only those that failed go back, the others keep the version: it was not rolled back.
        done = f"{open_end(ending.reason)}; {back} chargers are back on {version}"
        await self._move(CampaignMove.ABORT if ending.only_failed else CampaignMove.ROLLED_BACK, done)

    async def _leave_behind(self, given: RollbackInput, ending: Ending, facts: RollbackFacts) -> None:
        """Name whom no round brought back for good: each is a target that nothing is sent to any more."""
        reason = f"{open_end(ending.reason)}; rollback: {left_behind(facts, self._plan().version)}"
        await locally(CampaignActivities.add_rollback_targets, given)
        await self._cancel(given.wave, reason)
        await self._move(CampaignMove.ABORT if given.only_failed else CampaignMove.FAIL, reason)

    async def _cancel(self, wave: int, reason: str) -> None:
        await locally(
            CampaignActivities.close_targets, CloseInput(self._id, Outcome.CANCELLED, reason, wave=wave)
        )

    async def _roll_back_wave(self, brief: CampaignBrief, wave: int, count: int) -> gate.Verdict | None:
        """One rollback wave and its last verdict; None if a person stopped it."""
        self._wave, self._wave_name, self._look = wave, f"rollback {wave - ROLLBACK_WAVE_BASE + 1}", 0
        end = await self._run_wave(wave, self._wave_name, count, brief.rollback_version or "")
        pause, what = brief.pace.settle_seconds, "the rollback settles"
        while await self._still_rolling_back(pause, what):
            decided = await self._judge(brief, end.halted, gate.ROLLBACK)
            if decided.word is not VerdictWord.HOLD or self._look >= brief.gate.max_looks:
                return decided
            pause, what = brief.gate.hold_seconds, "until it is looked again who is back"
        return None

    async def _still_rolling_back(self, seconds: float, what: str) -> bool:
        """Wait, unless a person stops the rollback before."""
        try:
            await workflow.wait_condition(
                lambda: self._phase is not CampaignPhase.ROLLING_BACK,
                timeout=timedelta(seconds=seconds),
                timeout_summary=what,
            )
        except TimeoutError:
            return True
        return False
