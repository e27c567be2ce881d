"""One image at one site's local controller, for one wave: published once, and taken back when all are done.

Whatever goes wrong, its chargers fetch from us, as at any other site (OCPP 2.0.1 L03, L04).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.chargers import ChargerActivities
    from activities.facts import RouteFacts
    from activities.local_images import (
        LocalAnswer,
        LocalEnd,
        LocalImageActivities,
        LocalImageSender,
        LocalKind,
        LocalLook,
        LocalOrder,
        LocalQuery,
        LocalRequest,
    )
    from storage.errors import AmpwaveError
    from storage.publication import Publication
    from workflows.lasting import to_the_end
    from workflows.local_rules import (
        FIRST_PAUSE_S,
        LONGEST_WATCH_S,
        TRIES,
        UNPUBLISH_TRIES,
        LocalVerdict,
        judge_local,
        next_pause,
    )
    from workflows.options import locally, on_node, remotely


_Order = Callable[[LocalImageSender, LocalOrder], Awaitable[LocalAnswer]]


@dataclass(frozen=True, slots=True)
class LocalImageInput:
    """Which site of which wave, and how long its chargers may wait."""

    campaign_id: str
    wave: int
    site_id: str
    controller_id: str
    seconds: float


@workflow.defn(failure_exception_types=[AmpwaveError])
class LocalImageWorkflow:
    """Publishes and unpublishes; id ``local/{campaign}/w{n}/{site}``."""

    @workflow.init
    def __init__(self, given: LocalImageInput) -> None:
        self._given = given
        self._image = LocalQuery(given.campaign_id, given.wave, given.site_id)
        self._deadline = workflow.now() + timedelta(seconds=given.seconds)
        self._asked_at: datetime | None = None
        self._stopped = False

    @workflow.run
    async def run(self, given: LocalImageInput) -> Publication:  # noqa: ARG002 - __init__ has it
        """Returns where it stands in the end."""
        return await to_the_end(self._work(), self._stop)

    def _stop(self) -> None:
        self._stopped = True

    async def _work(self) -> Publication:
        given = self._given
        request = LocalRequest(self._image, given.controller_id, given.seconds)
        state = (
            await remotely(LocalImageActivities.open_local_image, request, "what is to be offered")
        ).state
        if state is Publication.ASKED:
            verdict = await self._publish()
            state = await self._settle(verdict.state or Publication.FAILED, verdict.reason)
        if state is Publication.PUBLISHED:
            await self._until_all_are_done()
        # What failed here may have come there all the same.
        reason = await self._unpublish() if self._asked_at or state is Publication.PUBLISHED else ""
        if state is Publication.PUBLISHED:
            state = await self._settle(Publication.ENDED, reason)
        return state

    async def _settle(self, state: Publication, reason: str) -> Publication:
        workflow.set_current_details(f"**{self._given.controller_id}** {reason}")
        await locally(LocalImageActivities.settle_local_image, LocalEnd(self._image, state, reason))
        return state

    async def _publish(self) -> LocalVerdict:
        verdict = LocalVerdict(None, "")
        for tries in range(1, TRIES + 1):
            answer = await self._reach(LocalImageSender.publish_locally)
            if answer.kind is LocalKind.NO:
                return LocalVerdict(Publication.FAILED, answer.reason)
            self._asked_at = answer.asked_at or self._asked_at
            # No answer: it may have heard it all the same, and what it reports then counts.
            verdict = await self._watch(tries) if self._asked_at else LocalVerdict(None, answer.reason)
            if verdict.state or workflow.now() >= self._deadline:
                break
        return verdict

    async def _watch(self, tries: int) -> LocalVerdict:
        pause = FIRST_PAUSE_S
        while True:
            look = LocalLook(self._image, self._asked_at)
            reports = await locally(LocalImageActivities.reconcile_local_image, look)
            verdict = judge_local(reports, tries, workflow.now(), self._deadline)
            if verdict:
                return verdict
            if self._stopped:
                return LocalVerdict(Publication.FAILED, "it was cancelled")
            left = (self._deadline - workflow.now()).total_seconds()
            await workflow.sleep(max(0.01, min(pause, left)), summary="until the next look")
            pause = next_pause(pause)

    async def _reach(self, method: _Order) -> LocalAnswer:
        """Over whatever route there is, until the deadline; one that is away is waited for."""
        pause = FIRST_PAUSE_S
        while True:
            route = await locally(ChargerActivities.resolve_route, self._given.controller_id)
            answer = await self._over(method, route) if route else None
            if answer is not None:
                return answer
            left = (self._deadline - workflow.now()).total_seconds()
            if left <= 0 or self._stopped:
                return LocalAnswer(LocalKind.NO, "it is not connected")
            await workflow.sleep(min(pause, left), summary="until it is connected")
            pause = next_pause(pause)

    async def _over(self, method: _Order, route: RouteFacts) -> LocalAnswer | None:
        order = LocalOrder(self._image, self._given.controller_id, route.session_epoch)
        try:
            return await on_node(method, order, route)
        except ActivityError:
            return None

    async def _until_all_are_done(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopped:
            if not await locally(LocalImageActivities.count_local_targets, self._image):
                return
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(self._given)
            await workflow.sleep(pause, summary="while its chargers fetch and install")
            pause = next_pause(pause, LONGEST_WATCH_S)

    async def _unpublish(self) -> str:
        """A download that is under way there goes on (L04.FR.03); asked again later, not for ever."""
        pause, said = FIRST_PAUSE_S, ""
        for _ in range(UNPUBLISH_TRIES):
            route = await locally(ChargerActivities.resolve_route, self._given.controller_id)
            answer = await self._over(LocalImageSender.unpublish_locally, route) if route else None
            if answer is not None and answer.kind is not LocalKind.LATER:
                return answer.reason
            said = answer.reason if answer else "it is not connected"
            await workflow.sleep(pause, summary="until it is taken back there")
            pause = next_pause(pause, LONGEST_WATCH_S)
        return f"it was not taken back there: {said}"
