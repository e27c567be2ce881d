"""One set of values to many chargers (F25): desired of all at once, delivered to each when it is connected.

Every charger's place is in PostgreSQL, so whoever goes on after a crash goes on where it stood. A value is
set the same way however often it is sent, so a charger whose node was lost is asked again, a few times.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.configuration import (
        ConfigurationActivities,
        Delivered,
        Delivery,
        DeliveryPage,
    )
    from activities.operator import CommandActivities, SendOrder
    from csms.commands import GetVariables, SetVariables
    from storage.command import CommandEnd, CommandState
    from storage.errors import AmpwaveError
    from workflows.options import locally, never_sent, on_node, remotely

PAGE = 20
"""Chargers that are sent to at once."""
LONGEST_PAUSE_S = 600.0


@dataclass(frozen=True, slots=True)
class ConfigurationRun:
    """Which job, and how it waits; everything else of it is in the store."""

    configuration_id: str
    pause_seconds: float = 15.0
    """Between two looks for chargers that came back; doubles while none did."""
    deadline_seconds: float = 15.0
    """How long a charger may take to answer."""
    desired: bool = False
    """The values are desired of every charger by now."""
    after: int = -1
    """The line up to which this round has come."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class ConfigurationWorkflow:
    """Carries out one job; id ``configuration/{configuration_id}``."""

    @workflow.init
    def __init__(self, given: ConfigurationRun) -> None:
        self._given = given
        self._pause = given.pause_seconds

    @workflow.run
    async def run(self, given: ConfigurationRun) -> None:  # noqa: ARG002 - __init__ has it
        """Until every charger has its result, the time is over, or somebody stops it."""
        await self._desire()
        while True:
            facts = await locally(ConfigurationActivities.measure_job, self._given.configuration_id)
            if not facts.running:
                return
            left = (facts.deadline_at - workflow.now()).total_seconds()
            if facts.waiting == 0 or left <= 0:
                await locally(ConfigurationActivities.close_job, self._given.configuration_id)
                return
            workflow.set_current_details(f"{facts.waiting} chargers wait for their values")
            if not await self._round():
                self._again()
                await workflow.sleep(min(self._pause, left), summary="until other chargers are connected")

    async def _desire(self) -> None:
        while not self._given.desired:
            done = await remotely(
                ConfigurationActivities.desire_values,
                self._given.configuration_id,
                "desire the values of the next chargers",
            )
            self._given = replace(self._given, desired=not done)
            self._again()

    def _again(self) -> None:
        """Go on in a new run when this one's history has grown long."""
        if workflow.info().is_continue_as_new_suggested():
            workflow.continue_as_new(self._given)

    async def _round(self) -> bool:
        """Send to everybody who can be reached now; whether there was anybody."""
        anybody = False
        while True:
            page = await remotely(
                ConfigurationActivities.find_deliverable,
                DeliveryPage(self._given.configuration_id, self._given.after, PAGE),
                "find chargers that are connected and free",
            )
            if not page:
                break
            anybody = True
            await asyncio.gather(*(self._deliver(each) for each in page))
            self._given = replace(self._given, after=page[-1].ordinal)
            self._again()
        self._given = replace(self._given, after=-1)
        self._pause = self._given.pause_seconds if anybody else min(2 * self._pause, LONGEST_PAUSE_S)
        return anybody

    async def _deliver(self, line: Delivery) -> None:
        end = await self._sent(line)
        delivered = Delivered(
            self._given.configuration_id, line.ordinal, line.desired_version, line.names, line.values, end
        )
        await locally(ConfigurationActivities.note_delivery, delivered)
        if end.state is CommandState.ANSWERED:
            # Read back, so that the twin shows what the charger made of it.
            order = self._order(line, GetVariables.__name__, {"names": list(line.names)})
            with suppress(ActivityError):
                await on_node(CommandActivities.send_command, order, line.route)

    async def _sent(self, line: Delivery) -> CommandEnd:
        pairs = zip(line.names, line.values, strict=True)
        values = [{"name": name, "value": value} for name, value in pairs]
        order = self._order(line, SetVariables.__name__, {"values": values})
        try:
            return (await on_node(CommandActivities.send_command, order, line.route)).end
        except ActivityError as error:
            if never_sent(error):
                return CommandEnd(CommandState.OFFLINE, "its node does not answer")
            if isinstance(error.cause, ApplicationError):
                return CommandEnd(CommandState.REFUSED, error.cause.message)
            return CommandEnd(CommandState.SILENT, "its node was lost while sending")

    def _order(self, line: Delivery, kind: str, body: dict[str, object]) -> SendOrder:
        given = self._given
        return SendOrder(
            command_id=f"{given.configuration_id}-{line.ordinal}",
            charger_id=line.charger_id,
            session_epoch=line.route.session_epoch,
            kind=kind,
            body=body,
            deadline_seconds=given.deadline_seconds,
        )
