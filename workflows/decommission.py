"""A charger's end: out of campaigns, drained, wiped, revoked, buried, cut off, and a receipt (F47).

Its id is the charger's lock, so nothing else is done to it meanwhile. What is done stands in PostgreSQL, so
whoever goes on after a crash goes on where it stood. Each step may be repeated: to forget twice is to forget.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

with workflow.unsafe.imports_passed_through():
    from activities.chargers import ChargerActivities
    from activities.facts import RouteFacts
    from activities.forgetting import RetireAnswer
    from activities.retiring import (
        LogPlan,
        RetirementActivities,
        RetirementSender,
        RetireOrder,
        StepNote,
        WaitNote,
    )
    from activities.testifying import TestimonyActivities
    from storage.errors import AmpwaveError
    from storage.ids import log_workflow_id
    from storage.retirement import Step, StepState
    from workflows.log_retrieval import LogInput, LogRetrievalWorkflow
    from workflows.options import by_signer, locally, never_sent, on_node, remotely
    from workflows.signals import CHARGER_EVENT, ChargerSignal

LONGEST_PAUSE_S = 300.0
ON_THE_WIRE = (
    Step.DRAIN,
    Step.SECURITY_LOG,
    Step.DIAGNOSTICS,
    Step.LOCAL_LIST,
    Step.CACHE,
    Step.PROFILES,
    Step.MONITORS,
    Step.ROOTS,
    Step.PASSWORD,
)
"""What needs the charger, in this order: evidence before it is wiped, its password last."""
LOGS = (Step.SECURITY_LOG, Step.DIAGNOSTICS)
CUTS = 5
"""So many tries to close a socket; one that stays ends with its lease, and nothing of it is believed."""


@dataclass(frozen=True, slots=True)
class DecommissionInput:
    """Which charger; everything else of it is in the store."""

    charger_id: str
    pause_seconds: float = 5.0
    """Between two tries of a step; doubles while none succeeds."""
    log_seconds: float = 600.0
    """How long a log may take to arrive."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class DecommissionWorkflow:
    """Retires one charger; id ``charger/{charger_id}``."""

    @workflow.init
    def __init__(self, given: DecommissionInput) -> None:
        self._given = given
        self._deadline = workflow.now()
        self._told = ""
        self._news = False

    @workflow.run
    async def run(self, given: DecommissionInput) -> str:
        """From whatever was done before to the receipt; its SHA-256."""
        charger_id = given.charger_id
        facts = await locally(RetirementActivities.measure_retirement, charger_id)
        self._deadline, done = facts.deadline_at, frozenset(facts.done)
        if Step.BURY not in done:
            if Step.CAMPAIGNS not in done:
                await remotely(RetirementActivities.leave_campaigns, charger_id, "take it out of campaigns")
            for step in ON_THE_WIRE:
                if step not in done:
                    await self._on_the_wire(step)
            await remotely(RetirementActivities.revoke_certificates, charger_id, "revoke its certificates")
            await locally(RetirementActivities.bury_charger, charger_id)
        if Step.SOCKET not in done:
            await self._cut()
        self._say("its receipt is being signed")
        return await by_signer(TestimonyActivities.sign_receipt, charger_id, "sign its receipt")

    @workflow.signal(name=CHARGER_EVENT, description="An event of this charger was committed.")
    def charger_event(self, signal: ChargerSignal) -> None:  # noqa: ARG002 - only that there is one counts
        """A hint that it is there."""
        self._news = True

    def _say(self, text: str) -> None:
        workflow.set_current_details(f"**{self._given.charger_id}** {text}")

    # --- one step --------------------------------------------------------------------------------

    async def _on_the_wire(self, step: Step) -> None:
        """Until it has an answer; past the deadline every step is still tried once."""
        pause = self._given.pause_seconds
        while True:
            self._say(step.value)
            answer = await self._tried(step)
            if answer.state is not None:
                await self._note(step, answer)
                return
            if workflow.now() >= self._deadline:
                await self._note(step, replace(answer, state=StepState.UNREACHED))
                return
            await self._wait(answer.detail, pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _tried(self, step: Step) -> RetireAnswer:
        charger_id = self._given.charger_id
        route = await locally(ChargerActivities.resolve_route, charger_id)
        if route is None:
            return RetireAnswer(None, "it is not connected")
        if step in LOGS:
            return await self._log(step)
        order = RetireOrder(charger_id, route.session_epoch, step)
        try:
            return await on_node(RetirementSender.retire_step, order, route)
        except ActivityError as error:
            return RetireAnswer(None, _lost(error))

    async def _log(self, step: Step) -> RetireAnswer:
        charger_id, seconds = self._given.charger_id, self._given.log_seconds
        request_id = await locally(RetirementActivities.open_log, LogPlan(charger_id, step, seconds))
        try:
            await workflow.execute_child_workflow(
                LogRetrievalWorkflow.run,
                LogInput(request_id, charger_id, seconds),
                id=log_workflow_id(charger_id, request_id),
                static_summary=f"evidence of {charger_id}",
            )
        except ChildWorkflowError as error:
            workflow.logger.warning("A log of %s was not retrieved: %s", charger_id, error.cause)
        return await locally(RetirementActivities.measure_log, request_id)

    async def _note(self, step: Step, answer: RetireAnswer) -> None:
        state = answer.state or StepState.UNREACHED
        note = StepNote(self._given.charger_id, step, state, answer.detail, answer.evidence)
        await locally(RetirementActivities.note_step, note)
        self._told = ""

    async def _wait(self, reason: str, pause: float) -> None:
        if reason != self._told:
            await locally(RetirementActivities.note_wait, WaitNote(self._given.charger_id, reason))
            self._told = reason
        if workflow.info().is_continue_as_new_suggested():
            workflow.continue_as_new(self._given)
        self._news = False
        left = max(0.0, (self._deadline - workflow.now()).total_seconds())
        try:
            await workflow.wait_condition(
                lambda: self._news,
                timeout=timedelta(seconds=min(pause, left)),
                timeout_summary="until it can be reached and is free",
            )
        except TimeoutError:
            return

    # --- the end of its socket -------------------------------------------------------------------

    async def _cut(self) -> None:
        """Close the socket that it may still have; no new one is let in."""
        tried: RouteFacts | None = None
        since: datetime = workflow.now()
        for _ in range(CUTS):
            route = await locally(ChargerActivities.resolve_route, self._given.charger_id)
            if route is None:
                break
            if route == tried:
                await workflow.sleep(1, summary="until its socket is closed")
                continue
            tried = await self._cut_over(route)
        else:
            told = "its node did not answer; what comes over that socket is refused until its lease runs out"
            await self._note(Step.SOCKET, RetireAnswer(StepState.UNKNOWN, told))
            return
        seconds = (workflow.now() - since).total_seconds()
        told = f"its socket was closed within {seconds:.0f} s" if tried else "it had no socket"
        state = StepState.DONE if tried else StepState.NOTHING
        await self._note(Step.SOCKET, RetireAnswer(state, told))

    async def _cut_over(self, route: RouteFacts) -> RouteFacts | None:
        order = RetireOrder(self._given.charger_id, route.session_epoch, Step.SOCKET)
        try:
            await on_node(RetirementSender.cut_socket, order, route)
        except ActivityError:
            await workflow.sleep(1, summary="until its route is looked up again")
            return None
        return route


def _lost(error: ActivityError) -> str:
    if never_sent(error):
        return "its node does not answer"
    if isinstance(error.cause, ApplicationError):
        return error.cause.message
    return "its node was lost while sending"
