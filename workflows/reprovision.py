"""A charger goes through provisioning again: what it has to forget, then the way in, or quarantine (F46).

Its id is the charger's lock, so no update has it meanwhile. Nobody is parked who charges a car: it waits
until there is none, and ends where it was if that takes too long. Each step may be repeated.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.chargers import ChargerActivities
    from activities.forgetting import RetireAnswer
    from activities.reprovisioning import (
        ForgetOrder,
        ForgetSender,
        ForgotNote,
        ReprovisionActivities,
        ReprovisionNote,
    )
    from storage.errors import AmpwaveError
    from storage.retirement import Step
    from workflows.options import locally, never_sent, on_node
    from workflows.signals import CHARGER_EVENT, ChargerSignal

LONGEST_PAUSE_S = 120.0


@dataclass(frozen=True, slots=True)
class ReprovisionInput:
    """Which one; everything else of it is in the store."""

    reprovision_id: str
    charger_id: str
    pause_seconds: float = 5.0
    """Between two tries; doubles while none succeeds."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class ReprovisionWorkflow:
    """Puts one charger back on its way in; id ``charger/{charger_id}``."""

    @workflow.init
    def __init__(self, given: ReprovisionInput) -> None:
        self._given = given
        self._deadline: datetime = workflow.now()
        self._pause = given.pause_seconds
        self._told = ""
        self._news = False

    @workflow.run
    async def run(self, given: ReprovisionInput) -> bool:
        """Whether it is over now."""
        facts = await locally(ReprovisionActivities.measure_reprovision, given.reprovision_id)
        if facts.over:
            return True
        self._deadline = facts.deadline_at
        for step in facts.left:
            while why := await self._forget(step):
                if not await self._patient(why):
                    return True
        while why := await locally(ReprovisionActivities.apply_reprovision, given.reprovision_id):
            if not await self._patient(why):
                return True
        return True

    @workflow.signal(name=CHARGER_EVENT, description="An event of this charger was committed.")
    def charger_event(self, signal: ChargerSignal) -> None:  # noqa: ARG002 - only that there is one counts
        """A hint that it is there, or free."""
        self._news = True

    async def _forget(self, step: Step) -> str:
        """Why not now, or empty."""
        answer = await self._tried(step)
        if answer.state is None:
            return answer.detail
        identity = self._given.reprovision_id
        note = ForgotNote(identity, step, answer.state, answer.detail, answer.evidence)
        await locally(ReprovisionActivities.note_forgotten, note)
        self._told, self._pause = "", self._given.pause_seconds
        return ""

    async def _tried(self, step: Step) -> RetireAnswer:
        charger_id = self._given.charger_id
        route = await locally(ChargerActivities.resolve_route, charger_id)
        if route is None:
            return RetireAnswer(None, "it is not connected")
        try:
            return await on_node(
                ForgetSender.forget_step, ForgetOrder(charger_id, route.session_epoch, step), route
            )
        except ActivityError as error:
            if isinstance(error.cause, ApplicationError) and not never_sent(error):
                return RetireAnswer(None, error.cause.message)
            return RetireAnswer(None, "its node does not answer")

    async def _patient(self, why: str) -> bool:
        """Wait a while; False: it took too long, and it stays where it is."""
        note = ReprovisionNote(self._given.reprovision_id, why)
        if workflow.now() >= self._deadline:
            await locally(ReprovisionActivities.refuse_reprovision, note)
            return False
        if why != self._told:
            workflow.set_current_details(f"**{self._given.charger_id}** {why}")
            await locally(ReprovisionActivities.note_reprovision_wait, note)
            self._told = why
        if workflow.info().is_continue_as_new_suggested():
            workflow.continue_as_new(self._given)
        left = max(0.0, (self._deadline - workflow.now()).total_seconds())
        self._news = False
        try:
            await workflow.wait_condition(
                lambda: self._news,
                timeout=timedelta(seconds=min(self._pause, left)),
                timeout_summary="until it can be reached and is free",
            )
        except TimeoutError:
            self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        return True
