"""People's commands and logs on a Temporal server: routes that move, nodes that die, clocks that run."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from csms.commands import (
    AnswerStatus,
    Command,
    CommandAnswer,
    GetLog,
    Reset,
    ResetKind,
    TriggerKind,
    TriggerMessage,
)
from storage.charger import Route
from storage.codec import to_json
from storage.command import CommandEnd, CommandRecord, CommandState
from storage.errors import EngineUnavailable, InvalidInput
from storage.ids import TASK_QUEUE, command_workflow_id, log_workflow_id
from storage.log import LogRequest, LogSort, LogState, LogUpload
from storage.reports import LogStatus, LogStatusReported
from tests.integration.workflows.harness import Harness, until
from tests.unit.activities.world import World
from workflows import options
from workflows.charger_command import ChargerCommandWorkflow, CommandInput
from workflows.log_retrieval import LogInput, LogRetrievalWorkflow

pytestmark = pytest.mark.integration

TRIGGER = TriggerMessage(TriggerKind.HEARTBEAT)
RESET = Reset(ResetKind.ON_IDLE)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node is given up after a second instead of eight, which pass in real time here."""
    monkeypatch.setattr(options, "_NODE_SCHEDULE_TO_START_S", 1)
    monkeypatch.setattr(options, "_NODE_HEARTBEAT_S", 1)


async def opened(world: World, command: Command, charger_id: str) -> CommandInput:
    kind = type(command).__name__
    at = world.now
    record = CommandRecord("c1", charger_id, kind, {}, "ab" * 32, "olga", at, at + timedelta(seconds=5))
    await world.commands.open(record)
    return CommandInput("c1", charger_id, kind, kind, to_json(command), 5.0)


async def passed(harness: Harness, workflow: Any, given: Any, workflow_id: str) -> Any:
    """The result of a workflow, while virtual time passes in steps.

    Steps, for the server does not know of local activities and would jump over them to the end of days.
    """
    handle = await harness.client.start_workflow(workflow, given, id=workflow_id, task_queue=TASK_QUEUE)
    async with asyncio.timeout(90):
        while (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
            await harness.env.sleep(timedelta(seconds=3))
        return await handle.result()


async def commanded(harness: Harness, given: CommandInput) -> CommandEnd:
    end: CommandEnd = await passed(
        harness, ChargerCommandWorkflow.run, given, command_workflow_id(given.command_id)
    )
    return end


# Commands.


async def test_a_command_is_answered_on_record_and_sent_once(real: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    given = await opened(world, TRIGGER, name)
    await real.orchestrator.send_command(given)
    record = await world.commands.get("c1")
    assert record.state is CommandState.ANSWERED
    await real.orchestrator.send_command(given)
    assert world.sent == [(name, TRIGGER)], "the same id again sends nothing"
    assert world.audit.actions() == ["charger.command"]


async def test_whoever_asks_waits_no_longer_than_the_charger_may_take(real: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    go_on = asyncio.Event()

    async def slow(charger_id: str, command: Command) -> None:
        await go_on.wait()

    world.on_send = slow
    given = replace(await opened(world, TRIGGER, name), deadline_seconds=1.0)
    await real.orchestrator.send_command(given)
    assert (await world.commands.get("c1")).state is CommandState.REQUESTED
    go_on.set()
    await until(lambda: world.commands.rows["c1"].state is CommandState.ANSWERED)


async def test_a_charger_that_is_away_is_said_so(real: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    world.unplug(name)
    await real.orchestrator.send_command(await opened(world, TRIGGER, name))
    assert (await world.commands.get("c1")).end == CommandEnd(CommandState.OFFLINE, "it is not connected")


def first_seen_as(world: World, route: Route) -> None:
    """The first look finds a session that has just gone."""
    resolve = world.routes.resolve

    async def late(charger_id: str) -> Route | None:
        world.routes.resolve = resolve  # type: ignore[method-assign]
        return route

    world.routes.resolve = late  # type: ignore[method-assign]


async def test_a_charger_that_moved_to_another_session_is_followed(real: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    stale = world.routes.rows[name]
    world.plug(name)
    first_seen_as(world, stale)
    await real.orchestrator.send_command(await opened(world, TRIGGER, name))
    assert (await world.commands.get("c1")).state is CommandState.ANSWERED
    assert world.sent == [(name, TRIGGER)]


@pytest.mark.usefixtures("impatient")
async def test_a_node_that_takes_no_orders_is_left_for_another(skipping: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    first_seen_as(world, replace(world.routes.rows[name], boot_id="gone"))
    end = await commanded(skipping, await opened(world, TRIGGER, name))
    assert end.state is CommandState.ANSWERED
    assert world.sent == [(name, TRIGGER)]


@pytest.mark.usefixtures("impatient")
async def test_a_charger_whose_nodes_all_take_no_orders_counts_as_away(
    skipping: Harness, world: World
) -> None:
    [name] = world.add_chargers(1)
    world.routes.rows[name] = replace(world.routes.rows[name], boot_id="gone")
    end = await commanded(skipping, await opened(world, TRIGGER, name))
    assert end == CommandEnd(CommandState.OFFLINE, "its node does not answer")


@pytest.mark.usefixtures("impatient")
async def test_a_node_that_dies_while_sending_leaves_the_outcome_open(
    skipping: Harness, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The activity never ends nor beats: for the server, the node is dead."""
    for beats, value in (("activities.operator.HEARTBEAT_S", 1e6), ("activities.errors._BEATS", 1e-6)):
        monkeypatch.setattr(beats, value)
    [name] = world.add_chargers(1)

    async def dies(charger_id: str, command: Command) -> None:
        await asyncio.Event().wait()

    world.on_send = dies
    end = await commanded(skipping, await opened(world, TRIGGER, name))
    assert end.state is CommandState.SILENT
    assert "unknown" in end.reason
    assert world.sent == [(name, TRIGGER)], "it is never sent blindly again"


async def test_a_refusal_of_ours_is_an_end(skipping: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    given = replace(await opened(world, TRIGGER, name), kind="UpdateFirmware")
    end = await commanded(skipping, given)
    assert end.state is CommandState.REFUSED
    assert world.sent == []


async def test_a_store_that_goes_away_after_the_command_left_is_no_refusal(
    skipping: Harness, world: World
) -> None:
    [name] = world.add_chargers(1)
    world.answers[TriggerMessage] = EngineUnavailable("PostgreSQL is away.")
    end = await commanded(skipping, await opened(world, TRIGGER, name))
    assert world.sent == [(name, TRIGGER)]
    assert end.state is CommandState.SILENT
    assert "unknown" in end.reason


async def test_a_charger_that_restarts_is_awaited_and_gives_its_room_back(
    skipping: Harness, world: World
) -> None:
    [name] = world.add_chargers(1)
    began = world.now
    end = await commanded(skipping, await opened(world, RESET, name))
    assert end.state is CommandState.ANSWERED
    assert world.leases.rows == {}
    assert world.now - began < timedelta(minutes=1), "its boot is a signal"
    assert world.audit.actions() == ["charger.command"]


async def test_a_charger_that_does_not_come_back_is_on_record(skipping: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    world.answers[Reset] = CommandAnswer(AnswerStatus.ACCEPTED)
    await commanded(skipping, await opened(world, RESET, name))
    assert world.leases.rows == {}
    assert world.audit.actions() == ["charger.command", "charger.not_back"]


async def test_the_answer_is_there_while_the_charger_restarts(real: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    world.answers[Reset] = CommandAnswer(AnswerStatus.ACCEPTED)
    await real.orchestrator.send_command(await opened(world, RESET, name))
    assert (await world.commands.get("c1")).state is CommandState.ANSWERED
    assert world.leases.rows[name].workflow_id == "command/c1"
    await world.boot(name, "1.0")
    await until(lambda: world.leases.rows == {})


# Logs.


async def asked(world: World, name: str, **changes: Any) -> LogInput:
    at = world.now
    await world.logs.open(LogRequest(7, name, LogSort.DIAGNOSTICS, "olga", at, at + timedelta(minutes=15)))
    return LogInput(7, name, **changes)


async def retrieved(harness: Harness, given: LogInput) -> LogState:
    return LogState(
        await passed(
            harness, LogRetrievalWorkflow.run, given, log_workflow_id(given.charger_id, given.request_id)
        )
    )


async def uploads(world: World) -> None:
    """What the api does with an upload."""
    [ticket] = world.logs.tickets
    await world.logs.add_upload(LogUpload(7, "logs/7/x", "a.log", 3, "ab" * 32, world.now), ticket)


@pytest.mark.requirement("F77")
async def test_a_log_that_arrives_is_retrieved(real: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    given = await asked(world, name)
    await real.orchestrator.retrieve_log(given)
    await until(lambda: world.logs.rows[7].state is LogState.ASKED)
    await uploads(world)
    await real.orchestrator.log_arrived(name, 7)
    await until(lambda: world.logs.rows[7].state is LogState.UPLOADED)
    await real.orchestrator.log_arrived(name, 7)
    await real.orchestrator.retrieve_log(given)
    assert len([one for _, one in world.sent if isinstance(one, GetLog)]) == 1


async def test_an_arrival_that_nobody_told_of_is_found_by_looking(skipping: Harness, world: World) -> None:
    [name] = world.add_chargers(1)

    async def arrives(charger_id: str, command: Command) -> None:
        await uploads(world)

    world.on_send = arrives
    assert await retrieved(skipping, await asked(world, name)) is LogState.UPLOADED


async def test_a_log_that_does_not_come_ends_at_its_deadline(skipping: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    began = world.now
    assert await retrieved(skipping, await asked(world, name)) is LogState.OVERDUE
    assert timedelta(minutes=15) <= world.now - began < timedelta(minutes=16)
    assert all(ticket.revoked for ticket in world.logs.tickets.values())


async def test_a_charger_that_gives_up_ends_it_after_some_patience(skipping: Harness, world: World) -> None:
    [name] = world.add_chargers(1)

    async def fails(charger_id: str, command: Command) -> None:
        await world._tell(charger_id, LogStatusReported(LogStatus.UPLOAD_FAILURE, 7), signal=False)

    world.on_send = fails
    began = world.now
    assert await retrieved(skipping, await asked(world, name)) is LogState.FAILED
    assert timedelta(minutes=1) <= world.now - began < timedelta(minutes=3)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (CommandAnswer(AnswerStatus.REJECTED), LogState.FAILED),
        (CommandAnswer(AnswerStatus.NOT_IMPLEMENTED), LogState.UNSUPPORTED),
        (InvalidInput("too long"), LogState.FAILED),
    ],
)
async def test_a_charger_that_will_not_is_not_waited_for(
    skipping: Harness, world: World, told: CommandAnswer | Exception, state: LogState
) -> None:
    [name] = world.add_chargers(1)
    world.answers[GetLog] = told
    began = world.now
    assert await retrieved(skipping, await asked(world, name)) is state
    assert world.now - began < timedelta(minutes=1)


async def test_a_charger_that_is_away_is_not_asked(skipping: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    world.unplug(name)
    assert await retrieved(skipping, await asked(world, name)) is LogState.OFFLINE
    assert world.logs.tickets == {}


async def test_a_cancelled_retrieval_closes_its_books(real: Harness, world: World) -> None:
    [name] = world.add_chargers(1)
    await real.orchestrator.retrieve_log(await asked(world, name))
    await until(lambda: world.logs.rows[7].state is LogState.ASKED)
    handle = real.client.get_workflow_handle(log_workflow_id(name, 7))
    await handle.cancel()
    assert LogState(await handle.result()) is LogState.FAILED
    assert world.logs.rows[7].reason == "its retrieval was cancelled"
    assert all(ticket.revoked for ticket in world.logs.tickets.values())
