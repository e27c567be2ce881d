"""One new certificate for one charger, from the request to the proof (A02, A03); its id is the lock.

Ask, judge and issue, hand over, and wait until the charger comes with it; only then the old one goes.
Whatever is lost on the way, the charger keeps a certificate that is accepted, and may begin anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.certificates import CertificateActivities, IssueAnswer, IssueOrder
    from activities.facts import RouteFacts
    from activities.orders import DispatchKind
    from activities.renewal import (
        RenewalActivities,
        RenewalAnswer,
        RenewalFacts,
        RenewalOrder,
        RenewalQuery,
        RenewalSender,
    )
    from storage.certificate_advice import REFUSED
    from storage.errors import AmpwaveError
    from storage.renewal import RenewalOutcome
    from workflows.lasting import and_then, to_the_end
    from workflows.options import by_signer, locally, never_sent, on_node
    from workflows.signals import CHARGER_EVENT, ChargerSignal

LOOKS = 4
"""How often PostgreSQL is read at most while something is awaited and no signal comes."""
SENDS = 4
"""Sessions over which one step is tried before the charger goes back to waiting."""


@dataclass(frozen=True, slots=True)
class RenewalInput:
    """One attempt on one charger. Seconds."""

    charger_id: str
    actor: str
    request: int | None = None
    """The charger asked by itself, by this event; None: it is told to ask."""
    request_seconds: float = 120.0
    proof_seconds: float = 900.0
    issue_seconds: float = 600.0
    """How long an authority may take; afterwards the charger's next request goes on where this one ended."""


@dataclass(frozen=True, slots=True)
class RenewalEnd:
    """How it ended. ``outcome`` None: nothing was begun, and the charger goes back to waiting."""

    outcome: RenewalOutcome | None
    reason: str
    serial: str | None = None


@workflow.defn(failure_exception_types=[AmpwaveError])
class CertificateRenewalWorkflow:
    """Renews one charger's certificate; id ``charger/{charger_id}``."""

    @workflow.init
    def __init__(self, given: RenewalInput) -> None:
        self._given = given
        self._since = workflow.now()
        self._news = False
        self._facts = RenewalFacts(given.request, proven=False, online=True, route=None)
        self._serial: str | None = None
        self._stopped = False

    @workflow.run
    async def run(self, given: RenewalInput) -> RenewalEnd:  # noqa: ARG002 - __init__ has it
        """Renew, and give back what was taken."""
        return await to_the_end(self._work(), self._stop)

    @workflow.signal(name=CHARGER_EVENT, description="An event of this charger was committed.")
    def charger_event(self, signal: ChargerSignal) -> None:  # noqa: ARG002 - the store has the truth
        """A hint: look again."""
        self._news = True

    def _stop(self) -> None:
        self._stopped = True

    def _say(self, text: str) -> None:
        workflow.set_current_details(f"**{self._given.charger_id}** {text}")

    async def _work(self) -> RenewalEnd:
        end = await and_then(self._renew(), self._release)
        self._say(end.reason)
        return end

    async def _release(self) -> None:
        await locally(RenewalActivities.release_renewal, self._given.charger_id)

    async def _renew(self) -> RenewalEnd:
        await self._look()
        if self._facts.request is None:
            self._say("is told to ask for a certificate")
            if end := await self._ask():
                return end
        self._say("waits for its certificate")
        if end := await self._issue():
            return end
        self._say("is handed its certificate")
        return await self._hand_over()

    # --- ask --------------------------------------------------------------------------------------

    async def _ask(self) -> RenewalEnd | None:
        answer = await self._step()
        if answer.kind in (DispatchKind.GONE, DispatchKind.NOT_NOW):
            return RenewalEnd(None, answer.reason)
        if answer.kind in (DispatchKind.REFUSED, DispatchKind.UNSUPPORTED):
            return RenewalEnd(
                RenewalOutcome.REFUSED, f"it was told to ask for a certificate: {answer.reason}"
            )
        await self._until(lambda: self._facts.request is not None, self._given.request_seconds)
        if self._facts.request is None:
            return RenewalEnd(
                RenewalOutcome.FAILED, "it was told to ask for a certificate, and no request came"
            )
        return None

    # --- issue ------------------------------------------------------------------------------------

    async def _issue(self) -> RenewalEnd | None:
        given, began = self._given, workflow.now()
        while True:
            order = IssueOrder(given.charger_id, self._facts.request or 0, given.actor)
            answer = await self._issued(order)
            if answer.serial is not None:
                self._serial = answer.serial
                return None
            why = "; ".join(answer.reasons)
            left = (began - workflow.now()).total_seconds() + given.issue_seconds
            if answer.retry_after_s is None:
                return RenewalEnd(RenewalOutcome.REFUSED, f"{REFUSED}{why}")
            if left <= 0 or self._stopped:
                return RenewalEnd(RenewalOutcome.FAILED, f"the authority has not decided in time: {why}")
            await workflow.sleep(
                min(answer.retry_after_s, max(1.0, left)), summary="until the authority decided"
            )

    async def _issued(self, order: IssueOrder) -> IssueAnswer:
        within = self._given.issue_seconds
        try:
            return await by_signer(
                CertificateActivities.issue_certificate, order, "issue its certificate", within=within
            )
        except ActivityError:
            return IssueAnswer(None, ("the signer did not answer",), retry_after_s=within)

    # --- hand over and prove ----------------------------------------------------------------------

    async def _hand_over(self) -> RenewalEnd:
        answer, tries = RenewalAnswer(DispatchKind.GONE), 0
        unknown = False
        deadline = workflow.now() + timedelta(seconds=self._given.proof_seconds)
        while tries < SENDS and not self._facts.proven and workflow.now() < deadline:
            answer, tries = await self._step(), tries + 1
            if answer.kind not in (DispatchKind.GONE, DispatchKind.UNKNOWN, DispatchKind.NOT_NOW):
                break
            # A charger that took it may have come with it by now; one that did not is handed it again.
            unknown = unknown or answer.kind is DispatchKind.UNKNOWN
            await self._until(lambda: self._facts.proven, self._pause(tries))
        if answer.kind is DispatchKind.ACCEPTED and not answer.with_certificate:
            return RenewalEnd(
                RenewalOutcome.TAKEN, "it took its certificate, and comes with a password", self._serial
            )
        if answer.kind is DispatchKind.REFUSED and not unknown and not self._facts.proven:
            # A02.FR.20: it waits for a new trigger now.
            return RenewalEnd(RenewalOutcome.REFUSED, f"it did not take its certificate: {answer.reason}")
        if answer.kind is DispatchKind.UNSUPPORTED:
            return RenewalEnd(RenewalOutcome.REFUSED, answer.reason)
        if (
            answer.kind in (DispatchKind.GONE, DispatchKind.NOT_NOW)
            and not unknown
            and not self._facts.proven
        ):
            return RenewalEnd(
                RenewalOutcome.FAILED, f"its certificate could not be handed over: {answer.reason}"
            )
        return await self._proof(deadline, answer)

    def _pause(self, tries: int) -> float:
        return min(self._given.proof_seconds / 8, 5.0 * 2.0**tries)

    async def _proof(self, deadline: datetime, answer: RenewalAnswer) -> RenewalEnd:
        self._say("is awaited with its new certificate")
        await self._until(lambda: self._facts.proven, (deadline - workflow.now()).total_seconds())
        if self._facts.proven:
            await self._settle()
            return RenewalEnd(RenewalOutcome.RENEWED, "it came with its new certificate", self._serial)
        said = answer.reason or "no answer came"
        if self._facts.online:
            return RenewalEnd(
                RenewalOutcome.FAILED, f"it has not come with its new certificate: {said}", self._serial
            )
        return RenewalEnd(RenewalOutcome.LOST, f"it did not come back: {said}", self._serial)

    async def _settle(self) -> None:
        """The old one goes. A signer that is away does it later, at its next look."""
        try:
            await by_signer(
                CertificateActivities.settle_certificates,
                self._given.charger_id,
                "revoke what it had before",
                within=60.0,
            )
        except ActivityError:
            workflow.logger.warning("the old certificate is revoked at the next look")

    # --- one step, and what came of it -------------------------------------------------------------

    async def _step(self) -> RenewalAnswer:
        """Send over whatever route reaches the charger now."""
        tried: RouteFacts | None = None
        answer = RenewalAnswer(DispatchKind.GONE, "it is not connected")
        for _ in range(SENDS):
            await self._look()
            route = self._facts.route
            if route is None or route == tried:
                break
            tried = route
            answer = await self._sent(route)
            if answer.kind is not DispatchKind.GONE:
                break
        return answer

    async def _sent(self, route: RouteFacts) -> RenewalAnswer:
        given = self._given
        order = RenewalOrder(
            charger_id=given.charger_id,
            session_epoch=route.session_epoch,
            seconds=given.request_seconds + given.proof_seconds,
            idle=given.request is None,
            serial=self._serial,
            request=self._facts.request,
        )
        try:
            return await on_node(RenewalSender.advance_renewal, order, route)
        except ActivityError as error:
            if never_sent(error):
                return RenewalAnswer(DispatchKind.GONE, "its node did not take the command")
            return RenewalAnswer(DispatchKind.UNKNOWN, "its node was lost while sending")

    async def _look(self) -> None:
        self._news = False
        query = RenewalQuery(self._given.charger_id, self._since, self._serial)
        found = await locally(RenewalActivities.measure_renewal, query)
        asked = self._facts.request if found.request is None else found.request
        # Once issued, another request is another attempt's: the charger asks again when this is over.
        kept = self._facts.request if self._serial is not None else asked
        self._facts = RenewalFacts(kept, found.proven, found.online, found.route)

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        """Until it is so, or the time is over; a signal is a reason to look, and so is time."""
        end = workflow.now() + timedelta(seconds=max(0.0, seconds))
        pause = max(0.05, seconds / LOOKS)
        await self._look()
        while not done() and not self._stopped and workflow.now() < end:
            left = (end - workflow.now()).total_seconds()
            await self._wait(min(pause, left))
            await self._look()

    async def _wait(self, seconds: float) -> None:
        try:
            await workflow.wait_condition(
                lambda: self._news or self._stopped,
                timeout=timedelta(seconds=seconds),
                timeout_summary="until it is looked for",
            )
        except TimeoutError:
            return
