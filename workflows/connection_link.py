"""What bringing a charger to another connection, or to another password, does alike: look, send, wait."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.connection import ConnectionActivities, ConnectionSender
    from activities.connection_orders import (
        ConnectionAnswer,
        ConnectionFacts,
        ConnectionOrder,
        ConnectionQuery,
        ConnectionStep,
    )
    from activities.facts import RouteFacts
    from activities.orders import DispatchKind
    from workflows.options import locally, never_sent, on_node

LOOKS = 12
"""How often PostgreSQL is read at most while something is awaited and no signal comes."""
SENDS = 4
"""Sessions over which one step is tried."""
_READ_BACK = timedelta(minutes=10)
"""How far events are read back: further than clocks of ours are apart."""


@dataclass(frozen=True, slots=True)
class ConnectionInput:
    """One attempt on one charger. Seconds."""

    charger_id: str
    renewal_id: str
    request_seconds: float = 120.0
    """How long one step waits for a charger that is away for a moment."""
    proof_seconds: float = 900.0
    """The connect-back deadline: it has come the new way by then, or it has not."""


class ConnectionLink:
    """One charger, as a workflow sees it and speaks to it."""

    def __init__(self, given: ConnectionInput) -> None:
        self.given = given
        self.news = False
        self.stopped = False
        self._since = workflow.now() - _READ_BACK
        self._mark: int | None = None
        self.facts = ConnectionFacts(
            0, online=True, came_with=None, booted=False, pending=False, password_since=None, route=None
        )

    def stop(self) -> None:
        """Wait for nothing any more."""
        self.stopped = True

    def say(self, text: str) -> None:
        """For whoever looks at Temporal's page."""
        workflow.set_current_details(f"**{self.given.charger_id}** {text}")

    async def look(self) -> None:
        """Read what the store knows."""
        self.news = False
        query = ConnectionQuery(self.given.charger_id, self._since, self._mark)
        self.facts = await locally(ConnectionActivities.measure_connection, query)

    async def from_now_on(self) -> None:
        """What is asked about is what happens after this."""
        self._mark = None
        await self.look()
        self._mark = self.facts.mark

    async def step(
        self, step: ConnectionStep, *, slots: tuple[int, ...] = (), priority: str = "", profile: int = 0
    ) -> ConnectionAnswer:
        """Send over whatever route reaches the charger; what a lost node did is unknown."""
        tried: RouteFacts | None = None
        answer = ConnectionAnswer(DispatchKind.GONE, "it is not connected")
        for _ in range(SENDS):
            route = await self._route(tried, self._patience(step))
            if route is None:
                break
            tried = route
            given = self.given
            order = ConnectionOrder(
                renewal_id=given.renewal_id,
                charger_id=given.charger_id,
                session_epoch=route.session_epoch,
                step=step,
                seconds=2 * given.request_seconds + given.proof_seconds,
                slots=slots,
                priority=priority,
                profile=profile,
            )
            answer = await _sent(order, route)
            if answer.kind is not DispatchKind.GONE:
                break
        return answer

    async def _route(self, tried: RouteFacts | None, seconds: float) -> RouteFacts | None:
        """One that was not tried yet."""
        await self.until(lambda: self.facts.route not in (None, tried), seconds)
        return None if self.facts.route == tried else self.facts.route

    def _patience(self, step: ConnectionStep) -> float:
        """The first step is for a charger that is there; later, one that is away for a moment is awaited."""
        return 0.0 if step in (ConnectionStep.CHECK, ConnectionStep.PASSWORD) else self.given.request_seconds

    async def until(self, done: Callable[[], bool], seconds: float) -> None:
        """Until it is so, or the time is over; a signal is a reason to look, and so is time."""
        end = workflow.now() + timedelta(seconds=max(0.0, seconds))
        pause = max(0.05, seconds / LOOKS)
        await self.look()
        while not done() and not self.stopped and workflow.now() < end:
            await self._wait(min(pause, (end - workflow.now()).total_seconds()))
            await self.look()

    async def _wait(self, seconds: float) -> None:
        try:
            await workflow.wait_condition(
                lambda: self.news or self.stopped,
                timeout=timedelta(seconds=seconds),
                timeout_summary="until it is looked for",
            )
        except TimeoutError:
            return


async def _sent(order: ConnectionOrder, route: RouteFacts) -> ConnectionAnswer:
    try:
        return await on_node(ConnectionSender.advance_connection, order, route)
    except ActivityError as error:
        if never_sent(error):
            return ConnectionAnswer(DispatchKind.GONE, "its node did not take the command")
        return ConnectionAnswer(DispatchKind.UNKNOWN, "its node was lost while sending")
