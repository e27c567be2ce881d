"""One log of one charger: ask for it, wait until it arrives, close the books (F77).

Hints come from the api, which takes the upload in; PostgreSQL has the truth and is looked at now and then.
"""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.chargers import ChargerActivities
    from activities.facts import RouteFacts
    from activities.logs import LogActivities, LogEnd, LogOrder, LogSender
    from storage.errors import AmpwaveError
    from storage.log import LogState
    from workflows.lasting import to_the_end
    from workflows.log_rules import FIRST_PAUSE_S, judge_log, next_pause
    from workflows.options import locally, never_sent, on_node
    from workflows.signals import LOG_ARRIVED

ROUTES = 3
"""So many sessions in a row that vanish before anything was sent, and the charger counts as away."""


@dataclass(frozen=True, slots=True)
class LogInput:
    """Which request; everything else of it is in the store."""

    request_id: int
    charger_id: str
    deadline_seconds: float = 900.0
    patience_seconds: float = 60.0
    """How long a charger that reports a failure may try again by itself."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class LogRetrievalWorkflow:
    """Retrieves one log; id ``log/{charger_id}/{request_id}``."""

    @workflow.init
    def __init__(self, given: LogInput) -> None:
        self._given = given
        self._deadline = workflow.now() + timedelta(seconds=given.deadline_seconds)
        self._news = False
        self._stopped = False

    @workflow.run
    async def run(self, given: LogInput) -> LogState:  # noqa: ARG002 - __init__ has it
        """Ask, wait, conclude; returns how it ended."""
        return await to_the_end(self._work(), self._stop)

    @workflow.signal(name=LOG_ARRIVED, description="The upload was taken in.")
    def log_arrived(self) -> None:
        """A hint."""
        self._news = True

    def _stop(self) -> None:
        self._stopped = self._news = True

    async def _work(self) -> LogState:
        asked = await self._ask()
        self._say(asked.reason)
        end = await self._watch() if asked.state is LogState.ASKED else asked
        concluded = await locally(LogActivities.conclude_log, end)
        self._say(concluded.reason)
        return concluded.state

    def _say(self, text: str) -> None:
        workflow.set_current_details(f"**{self._given.charger_id}** {text}")

    async def _ask(self) -> LogEnd:
        """Over whatever route reaches the charger; what may have left is awaited, not sent again."""
        tried: RouteFacts | None = None
        for _ in range(ROUTES):
            route = await locally(ChargerActivities.resolve_route, self._given.charger_id)
            if route is None or route == tried:
                break
            tried = route
            order = LogOrder(self._given.request_id, self._given.charger_id, route.session_epoch)
            try:
                return await on_node(LogSender.request_log, order, route)
            except ActivityError as error:
                if not never_sent(error):
                    return self._end(
                        LogState.ASKED, "its node was lost while asking; it may upload all the same"
                    )
        return self._end(LogState.OFFLINE, "its node does not answer" if tried else "it is not connected")

    async def _watch(self) -> LogEnd:
        pause = FIRST_PAUSE_S
        patience = timedelta(seconds=self._given.patience_seconds)
        while True:
            self._news = False
            facts = await locally(LogActivities.reconcile_log, self._given.request_id)
            verdict = judge_log(facts, workflow.now(), self._deadline, patience)
            if verdict is not None:
                return self._end(verdict.state, verdict.reason)
            if self._stopped:
                return self._end(LogState.FAILED, "its retrieval was cancelled")
            await self._pause(pause)
            pause = next_pause(pause)

    async def _pause(self, seconds: float) -> None:
        left = (self._deadline - workflow.now()).total_seconds()
        try:
            await workflow.wait_condition(
                lambda: self._news,
                timeout=timedelta(seconds=max(0.0, min(seconds, left))),
                timeout_summary="until the next look",
            )
        except TimeoutError:
            return

    def _end(self, state: LogState, reason: str) -> LogEnd:
        return LogEnd(self._given.request_id, state, reason)
