"""New certificates for many chargers: a canary, then growing waves, each judged before the next (F40).

Every charger's place is in PostgreSQL, so whoever goes on after a crash goes on where it stood. The charger's
own workflow is its lock: one that is being updated waits for its turn.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.renewals import (
        AttemptEnd,
        Due,
        FleetRenewalActivities,
        PageOrder,
        PhaseOrder,
        RenewalNow,
        WaveOrder,
    )
    from storage.errors import AmpwaveError, Conflict
    from storage.ids import charger_workflow_id
    from storage.renewal import CONNECTION_WORK, FleetWork, RenewalOutcome, RenewalPhase, WaveCounts
    from workflows.certificate_renewal import CertificateRenewalWorkflow, RenewalEnd, RenewalInput
    from workflows.connection_change import ConnectionChangeWorkflow
    from workflows.connection_link import ConnectionInput
    from workflows.options import locally, remotely
    from workflows.password_change import PasswordChangeWorkflow
    from workflows.renewal_rules import GateVerdict, judge_wave, passes_already, too_many_lost
    from workflows.root_change import RootChangeInput, RootChangeWorkflow
    from workflows.signals import PersonRequest

_SYSTEM = "renewal"


@dataclass(frozen=True, slots=True)
class RenewalRun:
    """Which renewal, and how far; everything else is in the store."""

    renewal_id: str
    wave: int = 0
    wave_since: datetime | None = None
    paused: bool = False


@workflow.defn(failure_exception_types=[AmpwaveError])
class RenewalWorkflow:
    """Carries out one renewal; id ``renewal/{renewal_id}``."""

    @workflow.init
    def __init__(self, given: RenewalRun) -> None:
        self._given = given
        self._now: RenewalNow | None = None
        self._paused = given.paused
        self._held = ""
        self._stop: PersonRequest | None = None
        self._early = False
        self._busy: dict[str, asyncio.Task[None]] = {}

    @workflow.run
    async def run(self, given: RenewalRun) -> None:  # noqa: ARG002 - __init__ has it
        """Wave after wave, until all are through or somebody or a gate ends it."""
        while not await self._over():
            if await self._wave():
                self._given = replace(self._given, wave=self._given.wave + 1, wave_since=None)
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _load(self) -> RenewalNow:
        self._now = await locally(FleetRenewalActivities.load_renewal, self._given.renewal_id)
        return self._now

    async def _over(self) -> bool:
        now = await self._load()
        if now.phase in (RenewalPhase.COMPLETED, RenewalPhase.ABORTED):
            return True
        if self._stop is not None:
            await self._move(RenewalPhase.ABORTED, self._stop.reason or "aborted", self._stop.actor)
            return True
        if self._given.wave >= now.waves:
            await self._move(RenewalPhase.COMPLETED, "every wave is through")
            return True
        return False

    async def _move(self, phase: RenewalPhase, reason: str, actor: str = _SYSTEM) -> None:
        order = PhaseOrder(self._given.renewal_id, phase, reason, actor)
        await locally(FleetRenewalActivities.set_renewal_phase, order)
        workflow.set_current_details(f"{phase.value}: {reason}")

    # --- people -----------------------------------------------------------------------------------

    @workflow.update(description="Start no more chargers.")
    async def pause(self, request: PersonRequest) -> None:
        """Those at work go on to their end."""
        self._paused = True
        await self._move(RenewalPhase.PAUSED, request.reason or "paused", request.actor)

    @workflow.update(description="Go on after a pause, or pass a gate that holds.")
    async def resume(self, request: PersonRequest) -> None:
        """Go on."""
        self._paused, self._held = False, ""
        await self._move(RenewalPhase.RUNNING, request.reason or "resumed", request.actor)

    @resume.validator
    def _can_resume(self, request: PersonRequest) -> None:  # noqa: ARG002 - Temporal's shape
        if not self._paused and not self._held:
            raise Conflict("It is neither paused nor held.")

    @workflow.update(description="Start nothing more, ever.")
    async def abort(self, request: PersonRequest) -> None:
        """Those at work go on to their end; chargers keep the certificates that they have."""
        self._stop = request

    # --- one wave ---------------------------------------------------------------------------------

    async def _wave(self) -> bool:
        """One wave to its end and through its gate; False: look again."""
        since = self._given.wave_since or workflow.now()
        self._given = replace(self._given, wave_since=since)
        order = WaveOrder(self._given.renewal_id, self._given.wave)
        if not await self._rounds(order, since):
            return False
        if self._early:
            # Those that are left get their turn in the next wave, and count there.
            self._early = False
            await locally(FleetRenewalActivities.carry_renewal_wave, order)
            return True
        await locally(FleetRenewalActivities.close_renewal_wave, order)
        return await self._gate(order)

    async def _rounds(self, order: WaveOrder, since: datetime) -> bool:
        """So many chargers at once, until none is left or the wave's time is over; False: stopped."""
        now = self._now or await self._load()
        ends = since + timedelta(seconds=now.plan.wave_seconds)
        while self._stop is None:
            counts = await locally(FleetRenewalActivities.measure_renewal_wave, order)
            if too_many_lost(counts, now.plan) or counts.open == 0 or workflow.now() >= ends:
                break
            if self._passes_early(order, counts, now):
                self._early = True
                break
            workflow.set_current_details(
                f"wave {order.wave + 1} of {now.waves}: {counts.open} left, {counts.outcomes}"
            )
            if not self._paused:
                await self._fill(order, now)
            await self._again()
            await self._pause(min(now.plan.pause_seconds, (ends - workflow.now()).total_seconds()), now)
        await self._drain()
        return self._stop is None

    def _passes_early(self, order: WaveOrder, counts: WaveCounts, now: RenewalNow) -> bool:
        if order.wave + 1 >= now.waves or self._paused:
            return False
        passes = passes_already(counts, now.plan, len(self._busy))
        return passes and workflow.patched("passes-early")

    async def _fill(self, order: WaveOrder, now: RenewalNow) -> None:
        """Begin with as many as there is room for: connected, free and idle."""
        room = now.plan.parallel - len(self._busy)
        if room <= 0:
            return
        # Who is done while the page is read stands in it all the same, and would be renewed twice.
        begun = set(self._busy) if workflow.patched("page-of-before") else set[str]()
        page = await remotely(
            FleetRenewalActivities.find_renewable,
            PageOrder(order.renewal_id, order.wave, now.plan.parallel),
            "find chargers that are connected and free",
        )
        begun |= self._busy.keys()
        for due in [each for each in page if each.charger_id not in begun][:room]:
            self._busy[due.charger_id] = asyncio.create_task(self._renew(order, due, now))

    async def _drain(self) -> None:
        """What was begun is seen to its end."""
        await workflow.wait_condition(lambda: not self._busy)

    async def _pause(self, seconds: float, now: RenewalNow) -> None:
        """Until a part of the room is free, somebody wants something, or other chargers may be there."""
        paused, enough = self._paused, len(self._busy) - max(1, now.plan.parallel // 4)
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._stop is not None or self._paused != paused or len(self._busy) <= enough,
                timeout=timedelta(seconds=max(0.1, seconds)),
                timeout_summary="until other chargers can be renewed",
            )

    async def _again(self) -> None:
        """Go on in a new run when this one's history has grown long."""
        if workflow.info().is_continue_as_new_suggested():
            await self._drain()
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(replace(self._given, paused=self._paused))

    async def _renew(self, order: WaveOrder, due: Due, now: RenewalNow) -> None:
        try:
            end = await self._attempt(due, now)
            if end is not None:
                await self._note(order, due, now, end)
        finally:
            self._busy.pop(due.charger_id, None)

    async def _note(self, order: WaveOrder, due: Due, now: RenewalNow, end: RenewalEnd) -> None:
        last = due.attempts + 1 >= now.plan.attempts or end.outcome is RenewalOutcome.LOST
        await locally(
            FleetRenewalActivities.note_attempt,
            AttemptEnd(
                *(order.renewal_id, order.wave, due, end.outcome, end.reason, end.serial),
                last=last,
                backoff_seconds=now.plan.backoff_seconds,
            ),
        )

    async def _attempt(self, due: Due, now: RenewalNow) -> RenewalEnd | None:
        if now.plan.work in (*CONNECTION_WORK, FleetWork.ROTATE_PASSWORD):
            return await self._connection(due, now)
        if now.plan.work is not FleetWork.RENEW:
            return await self._root(due)
        given = RenewalInput(
            due.charger_id,
            actor=f"renewal/{self._given.renewal_id}",
            request_seconds=now.plan.request_seconds,
            proof_seconds=now.plan.proof_seconds,
        )
        try:
            return await workflow.execute_child_workflow(
                CertificateRenewalWorkflow.run,
                given,
                id=charger_workflow_id(due.charger_id),
                static_summary=f"renew the certificate of {due.charger_id}",
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return None  # Other work has it; its turn comes.
        except ChildWorkflowError:
            return RenewalEnd(RenewalOutcome.FAILED, "its renewal was ended from outside")

    async def _root(self, due: Due) -> RenewalEnd | None:
        try:
            return await workflow.execute_child_workflow(
                RootChangeWorkflow.run,
                RootChangeInput(due.charger_id, self._given.renewal_id),
                id=charger_workflow_id(due.charger_id),
                static_summary=f"change a root of {due.charger_id}",
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return None
        except ChildWorkflowError:
            return RenewalEnd(RenewalOutcome.FAILED, "its work was ended from outside")

    async def _connection(self, due: Due, now: RenewalNow) -> RenewalEnd | None:
        plan = now.plan
        given = ConnectionInput(
            due.charger_id, self._given.renewal_id, plan.request_seconds, plan.proof_seconds
        )
        by_password = plan.work is FleetWork.ROTATE_PASSWORD
        try:
            return await workflow.execute_child_workflow(
                PasswordChangeWorkflow.run if by_password else ConnectionChangeWorkflow.run,
                given,
                id=charger_workflow_id(due.charger_id),
                static_summary=f"{plan.work.value.replace('_', ' ')} of {due.charger_id}",
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return None
        except ChildWorkflowError:
            return RenewalEnd(RenewalOutcome.FAILED, "its work was ended from outside")

    async def _gate(self, order: WaveOrder) -> bool:
        now = self._now or await self._load()
        counts = await locally(FleetRenewalActivities.measure_renewal_wave, order)
        judged = judge_wave(counts, now.plan)
        if judged.verdict is GateVerdict.PROCEED:
            return True
        if judged.verdict is GateVerdict.ABORT:
            await self._move(RenewalPhase.ABORTED, judged.reason)
            return True
        if order.wave + 1 >= now.waves:
            return True  # There is nothing left that it could hold back.
        self._held = judged.reason
        await self._move(RenewalPhase.HELD, judged.reason)
        await self._hold(now.plan.hold_seconds, judged.reason)
        return True

    async def _hold(self, seconds: float, reason: str) -> None:
        """Until a person resumes or aborts it, or nobody has in this time."""
        limit = timedelta(seconds=seconds) if seconds and workflow.patched("holds-end") else None
        try:
            await workflow.wait_condition(
                lambda: not self._held or self._stop is not None,
                timeout=limit,
                timeout_summary="until a person resumes it, or nobody has for so long",
            )
        except TimeoutError:
            await self._move(RenewalPhase.ABORTED, f"nobody resumed it: {reason}")
