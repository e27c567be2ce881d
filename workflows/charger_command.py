"""One command of a person to one charger: to the node that holds its socket, and the answer back.

Its id is not the charger's lock: most commands disturb nothing. Those that do are kept apart from other
maintenance by the site lease, which the node takes in the step that sends.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.chargers import ChargerActivities
    from activities.facts import RouteFacts
    from activities.operator import (
        Absence,
        CloseCommand,
        CommandActivities,
        OperatorActivities,
        SendOrder,
        Sent,
    )
    from csms.commands import Reset
    from storage.command import CommandEnd, CommandState
    from storage.errors import AmpwaveError
    from storage.events import EventKind
    from workflows.options import locally, never_sent, on_node
    from workflows.signals import CHARGER_EVENT, ChargerSignal

ROUTES = 3
"""So many sessions in a row that vanish before anything was sent, and the charger counts as away."""
AWAY_SECONDS = 600.0
"""How long a charger may be away whose node was lost while it was told to restart."""
LOOKS = 4
"""How often PostgreSQL is read at most while a charger that was sent away is awaited."""
_TRIGGERED = "Triggered"


@dataclass(frozen=True, slots=True)
class CommandInput:
    """One command. ``kind`` and ``body``: a canonical command as JSON; never a password."""

    command_id: str
    charger_id: str
    name: str
    """As people call it."""
    kind: str
    body: dict[str, Any] = field(repr=False)
    deadline_seconds: float
    """How long the charger may take to answer."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class ChargerCommandWorkflow:
    """Sends one command; id ``command/{command_id}``."""

    @workflow.init
    def __init__(self, given: CommandInput) -> None:
        self._given = given
        self._since = workflow.now()
        self._end: CommandEnd | None = None
        self._booted = False

    @workflow.run
    async def run(self, given: CommandInput) -> CommandEnd:  # noqa: ARG002 - __init__ has it
        """Send, write down how it ended, and wait for a charger that was sent away."""
        sent = await self._sent()
        await locally(OperatorActivities.close_command, CloseCommand(self._given.command_id, sent.end))
        self._end = sent.end
        if sent.away_seconds:
            await self._await_back(sent.away_seconds)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return sent.end

    @workflow.update(description="How the command ended, as soon as it has.")
    async def answer(self) -> CommandEnd:
        """Waits for the end; whoever asks bounds how long."""
        await workflow.wait_condition(lambda: self._end is not None)
        return self._end or CommandEnd(CommandState.REQUESTED, "")

    @workflow.signal(name=CHARGER_EVENT, description="An event of this charger was committed.")
    def charger_event(self, signal: ChargerSignal) -> None:
        """A hint that it is back; an answer to a trigger is no start."""
        booted = signal.kind == EventKind.CHARGER_BOOTED.value
        self._booted = self._booted or (booted and signal.body.get("reason") != _TRIGGERED)

    # --- send ------------------------------------------------------------------------------------

    async def _sent(self) -> Sent:
        """Over whatever route reaches the charger; once something may have left, never again."""
        tried: RouteFacts | None = None
        for _ in range(ROUTES):
            route = await locally(ChargerActivities.resolve_route, self._given.charger_id)
            if route is None or route == tried:
                break
            tried = route
            try:
                return await on_node(CommandActivities.send_command, self._order(route), route)
            except ActivityError as error:
                if not never_sent(error):
                    return await self._lost(error)
        away = "its node does not answer" if tried else "it is not connected"
        return Sent(CommandEnd(CommandState.OFFLINE, away))

    async def _lost(self, error: ActivityError) -> Sent:
        """A refusal of ours left nothing; a node that was lost may have sent it, and left a lease."""
        if isinstance(error.cause, ApplicationError) and error.cause.non_retryable:
            return Sent(CommandEnd(CommandState.REFUSED, error.cause.message))
        if isinstance(error.cause, ApplicationError):
            # A store that was away, before or after: the node gave back, or kept, what it took.
            reason = f"{error.cause.message} What the charger did is unknown."
            return Sent(CommandEnd(CommandState.SILENT, reason))
        end = CommandEnd(CommandState.SILENT, "its node was lost while sending: what it did is unknown")
        if self._given.kind == Reset.__name__:
            return Sent(end, AWAY_SECONDS)
        absence = Absence(self._given.command_id, self._given.charger_id, self._since, back=True)
        await locally(OperatorActivities.end_absence, absence)
        return Sent(end)

    def _order(self, route: RouteFacts) -> SendOrder:
        given = self._given
        workflow.set_current_details(f"**{given.charger_id}** {given.name} over {route.node_id}")
        return SendOrder(
            command_id=given.command_id,
            charger_id=given.charger_id,
            session_epoch=route.session_epoch,
            kind=given.kind,
            body=given.body,
            deadline_seconds=given.deadline_seconds,
        )

    # --- await -----------------------------------------------------------------------------------

    async def _await_back(self, seconds: float) -> None:
        """Until it has started anew, or should have; its site's room is given back then."""
        given = self._given
        workflow.set_current_details(f"**{given.charger_id}** restarts")
        absence = Absence(given.command_id, given.charger_id, self._since)
        back = False
        for _ in range(LOOKS):
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._booted,
                    timeout=timedelta(seconds=seconds / LOOKS),
                    timeout_summary="until it is looked for",
                )
            back = self._booted or await locally(OperatorActivities.has_booted, absence)
            if back:
                break
        await locally(
            OperatorActivities.end_absence,
            Absence(given.command_id, given.charger_id, self._since, back),
        )
