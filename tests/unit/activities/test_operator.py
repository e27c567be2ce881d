"""A person's command on the node: what holds it back first, what the charger says after that."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from activities.dispatch import DispatchActivities
from activities.guards import BY_NAME, GUARDS, Need, need_of, slot_problem
from activities.operator import (
    Absence,
    CloseCommand,
    CommandActivities,
    OperatorActivities,
    SendOrder,
    Sent,
)
from activities.orders import Node, PutBackInput
from csms.access import NetworkProfile, SetNetworkProfile
from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    Command,
    CommandAnswer,
    DataTransfer,
    GetVariables,
    PublishFirmware,
    Reset,
    ResetKind,
    SetVariables,
    TriggerKind,
    TriggerMessage,
    UpdateFirmware,
    VariableValue,
)
from csms.errors import CallFailed, CommandTimeout, NotAccepted, NotConnectedHere, Unsupported
from storage.charger import OutOfService, SiteLease
from storage.codec import decode, to_json
from storage.command import CommandEnd, CommandRecord, CommandState
from storage.twin import ConfigurationSection, Lifecycle, SecuritySection
from tests.support.nouns import any_of
from tests.unit.activities.world import START, World

RESET = Reset(ResetKind.ON_IDLE)
TRIGGER = TriggerMessage(TriggerKind.HEARTBEAT)
OUT = ChangeAvailability(operative=False)
DISTURBING: tuple[Command, ...] = (
    RESET,
    Reset(ResetKind.IMMEDIATE, evse_id=1),
    OUT,
    SetNetworkProfile(2, NetworkProfile("wss://x/ocpp", 2)),
    DataTransfer("acme"),
    SetVariables((VariableValue("EVSE.Enabled", "false"),)),
    SetVariables((VariableValue("Evse(1).AVAILABLE", "false"),)),
    SetVariables((VariableValue("Connector(1,1).Enabled[main]", "false"),)),
    SetVariables((VariableValue("OCPPCommCtrlr.networkConfigurationPriority", "2"),)),
    SetVariables((VariableValue("CentralSystemURL", "wss://elsewhere.example/ocpp"),)),
)
"""What could cut a session."""


@pytest.fixture
def world() -> World:
    made = World()
    made.add_chargers(2, sites=1)
    return made


async def send(world: World, command: Command, name: str = "CP000", *, node: Node | None = None) -> Sent:
    order = SendOrder("c1", name, 1, type(command).__name__, to_json(command), 5.0)
    return await CommandActivities(node or world.node).send_command(order)


def lease(world: World, name: str = "CP000", workflow_id: str = "charger/CP000") -> SiteLease:
    held = SiteLease(name, "site-0", workflow_id, "update", START + timedelta(hours=1))
    world.leases.rows[name] = held
    return held


@pytest.mark.parametrize("kind", [UpdateFirmware, PublishFirmware])
async def test_firmware_never_passes(world: World, kind: type) -> None:
    assert kind not in GUARDS
    order = SendOrder("c1", "CP000", 1, kind.__name__, {}, 5.0)
    with pytest.raises(ApplicationError, match="no command that people send"):
        await CommandActivities(world.node).send_command(order)
    assert world.sent == []


@pytest.mark.requirement("X1")
@pytest.mark.parametrize("command", DISTURBING, ids=repr)
async def test_nothing_that_could_cut_a_session_is_sent_while_one_is_open(
    world: World, command: Command
) -> None:
    # The session is told of in the very step that sends, after the command was asked for.
    world.on_settle = world.plug_in
    sent = await send(world, command)
    assert sent.end.state is CommandState.BUSY
    assert "session t1 is open" in sent.end.reason
    assert world.sent == []
    assert world.leases.rows == {}, "its site's room is given back"


@pytest.mark.parametrize("command", [*DISTURBING, ChangeAvailability(operative=True)], ids=repr)
async def test_nothing_of_it_is_sent_while_other_maintenance_holds_the_charger(
    world: World, command: Command
) -> None:
    held = lease(world)
    sent = await send(world, command)
    assert sent.end.state is CommandState.HELD
    assert "charger/CP000 has it for update" in sent.end.reason
    assert world.sent == []
    assert world.leases.rows["CP000"] == held


@pytest.mark.requirement("X2")
@pytest.mark.requirement("F34")
@pytest.mark.parametrize("lifecycle", [Lifecycle.QUARANTINED, Lifecycle.RETIRED])
async def test_one_that_is_set_aside_is_sent_nothing_while_its_socket_is_still_open(
    world: World, lifecycle: Lifecycle
) -> None:
    await world.set_lifecycle("CP000", lifecycle)
    sent = await send(world, TRIGGER)
    assert sent.end.state is CommandState.REFUSED
    assert lifecycle.value in sent.end.reason
    assert not world.sent


async def test_a_charger_that_its_site_cannot_spare_is_not_restarted(world: World) -> None:
    lease(world, "CP001", "charger/CP001")
    sent = await send(world, RESET)
    assert sent.end.state is CommandState.HELD
    assert "1 of 1" in sent.end.reason
    assert world.sent == []
    assert (await send(world, TRIGGER)).end.state is CommandState.ANSWERED, "what disturbs nothing goes out"


async def test_a_restarting_charger_counts_as_away_until_it_is_back(world: World) -> None:
    world.answers[Reset] = CommandAnswer(AnswerStatus.ACCEPTED)
    sent = await send(world, RESET)
    assert (sent.end.state, sent.end.status, sent.away_seconds) == (CommandState.ANSWERED, "Accepted", 600.0)
    assert world.leases.rows["CP000"].workflow_id == "command/c1"
    await world.boot("CP000", "1.0")
    activities = OperatorActivities(world.stores)
    absence = Absence("c1", "CP000", START)
    assert await activities.has_booted(absence)
    await activities.end_absence(replace(absence, back=True))
    assert world.leases.rows == {}
    assert world.audit.actions() == []


async def test_one_that_never_came_back_is_on_record(world: World) -> None:
    world.answers[Reset] = CommandAnswer(AnswerStatus.ACCEPTED)
    await send(world, RESET)
    activities, absence = OperatorActivities(world.stores), Absence("c1", "CP000", START)
    assert not await activities.has_booted(absence)
    await activities.end_absence(absence)
    assert world.leases.rows == {}
    assert world.audit.actions() == ["charger.not_back"]


@pytest.mark.parametrize("told", [AnswerStatus.REJECTED, AnswerStatus.NOT_IMPLEMENTED])
async def test_a_charger_that_does_not_restart_gives_its_room_back(world: World, told: AnswerStatus) -> None:
    world.answers[Reset] = CommandAnswer(told)
    sent = await send(world, RESET)
    assert sent.end.status == told.value
    assert sent.away_seconds == 0.0
    assert world.leases.rows == {}


async def test_a_charger_that_may_have_been_told_to_restart_counts_as_away(world: World) -> None:
    world.answers[Reset] = CommandTimeout("CP000", "Reset", 5.0)
    sent = await send(world, RESET)
    assert (sent.end.state, sent.away_seconds) == (CommandState.SILENT, 600.0)
    assert "CP000" in world.leases.rows


async def test_a_restart_that_was_cut_short_on_its_way_counts_as_away(world: World) -> None:
    """The node stops while the charger is told; the workflow then waits for it as for one that was told."""
    leaving, never = asyncio.Event(), asyncio.Event()

    async def hang(_: str, __: Command) -> None:
        leaving.set()
        await never.wait()

    world.on_send = hang
    sending = asyncio.create_task(send(world, RESET))
    await asyncio.wait_for(leaving.wait(), 5)
    sending.cancel()
    await asyncio.wait({sending})
    assert sending.cancelled()
    assert "CP000" in world.leases.rows


async def test_a_restart_that_found_no_session_gives_its_room_back(world: World) -> None:
    world.answers[Reset] = NotConnectedHere("CP000", 1)
    with pytest.raises(ApplicationError):
        await send(world, RESET)
    assert world.leases.rows == {}


async def test_a_person_who_puts_a_charger_back_settles_what_we_took(world: World) -> None:
    row = OutOfService("CP000", "site-0", (), START, "update in campaign c1, wave 0")
    await world.out_of_service.add(row)
    world.answers[ChangeAvailability] = CommandAnswer(AnswerStatus.REJECTED)
    await send(world, ChangeAvailability(operative=True))
    assert await world.out_of_service.get("CP000") == row
    del world.answers[ChangeAvailability]
    await send(world, ChangeAvailability(operative=True, evse_id=1, connector_id=1))
    assert await world.out_of_service.get("CP000") == row, "one EVSE is not the charger"
    await send(world, ChangeAvailability(operative=True))
    assert await world.out_of_service.get("CP000") is None


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (CommandTimeout("CP000", "X", 5.0), CommandState.SILENT),
        (CallFailed("CP000", "X", "InternalError", "no"), CommandState.FAILED),
        (Unsupported("ocpp1.6", "X"), CommandState.UNSUPPORTED),
        (NotAccepted("CP000", "X"), CommandState.REFUSED),
        (CommandAnswer(AnswerStatus.NOT_IMPLEMENTED), CommandState.UNSUPPORTED),
        (CommandAnswer(AnswerStatus.REJECTED, "busy"), CommandState.ANSWERED),
    ],
)
async def test_every_way_to_answer_has_a_name(
    world: World, told: CommandAnswer | Exception, state: CommandState
) -> None:
    world.answers[TriggerMessage] = told
    sent = await send(world, TRIGGER)
    assert sent.end.state is state
    assert sent.end.reason


async def test_what_the_charger_gives_back_comes_back(world: World) -> None:
    answer = CommandAnswer(AnswerStatus.ACCEPTED, "fine", (("A.B", "1"),), list_version=0)
    world.answers[TriggerMessage] = answer
    end = (await send(world, TRIGGER)).end
    assert end.returned == {"values": [["A.B", "1"]], "list_version": 0}
    assert end.reason == "it answered Accepted: fine"


async def test_a_session_that_is_not_here_is_looked_for_elsewhere(world: World) -> None:
    world.unplug("CP000")
    with pytest.raises(ApplicationError) as caught:
        await send(world, TRIGGER)
    assert caught.value.type == "NotConnectedHere"


async def test_the_other_deeds_of_a_node_wait_for_a_command_that_disturbs(world: World) -> None:
    """Otherwise a charger that is being drained for an update could be opened to cars in between."""
    node, answering, go_on = world.node, asyncio.Event(), asyncio.Event()

    async def slow(charger_id: str, command: Command) -> None:
        answering.set()
        await go_on.wait()

    world.on_send = slow
    first = asyncio.create_task(send(world, ChangeAvailability(operative=True), node=node))
    await answering.wait()
    await world.out_of_service.add(OutOfService("CP000", "site-0", (), START, "x"))
    second = asyncio.create_task(DispatchActivities(node).put_back_charger(PutBackInput("CP000", 1)))
    await asyncio.sleep(0)
    assert len(world.sent) == 1
    go_on.set()
    await first
    await second
    assert world.sent[0] == ("CP000", ChangeAvailability(operative=True))


@pytest.mark.parametrize(
    ("known", "slot", "problem"),
    [
        ({}, 1, "is not known"),
        ({"OCPPCommCtrlr.ActiveNetworkProfile": "1"}, 1, "uses now"),
        # It does not tell which of them it fell back to.
        ({"OCPPCommCtrlr.NetworkConfigurationPriority": "2,1"}, 2, "may be the connection"),
        ({"OCPPCommCtrlr.NetworkConfigurationPriority": "2, 1"}, 1, "may be the connection"),
        ({"OCPPCommCtrlr.NetworkConfigurationPriority": "2,1"}, 3, None),
        ({"OCPPCommCtrlr.NetworkConfigurationPriority": "nonsense"}, 3, "is not known"),
        (
            {
                "OCPPCommCtrlr.ActiveNetworkProfile": "2",
                "OCPPCommCtrlr.NetworkConfigurationPriority": "2,1",
            },
            1,
            None,
        ),
        (
            {
                "OCPPCommCtrlr.ActiveNetworkProfile": "1",
                "OCPPCommCtrlr.NetworkConfigurationPriority": "2,1",
            },
            2,
            "uses now",
        ),
    ],
)
def test_the_connection_in_use_is_never_overwritten(
    known: dict[str, str], slot: int, problem: str | None
) -> None:
    found = slot_problem(slot, known)
    assert (found is None) is (problem is None)
    assert problem is None or problem in str(found)


async def test_the_level_of_security_is_never_lowered_by_a_connection(world: World) -> None:
    known = ConfigurationSection({"OCPPCommCtrlr.ActiveNetworkProfile": "1"})
    world._twin("CP000", configuration=known, security=SecuritySection(profile=2))
    lower = SetNetworkProfile(2, NetworkProfile("wss://x/ocpp", 1))
    sent = await send(world, lower)
    assert (sent.end.state, world.sent) == (CommandState.REFUSED, [])
    assert "never lowered" in sent.end.reason
    same = SetNetworkProfile(2, NetworkProfile("wss://x/ocpp", 2))
    assert (await send(world, same)).end.state is CommandState.ANSWERED


async def test_the_connection_in_use_is_asked_for_in_the_step_that_writes(world: World) -> None:
    # By the twin it is on slot 1; it fell back to 2 since it told.
    world._twin("CP000", configuration=ConfigurationSection({"OCPPCommCtrlr.ActiveNetworkProfile": "1"}))
    now = (("OCPPCommCtrlr.ActiveNetworkProfile", "2"),)
    world.answers[GetVariables] = CommandAnswer(AnswerStatus.ACCEPTED, values=now)
    sent = await send(world, SetNetworkProfile(2, NetworkProfile("wss://x/ocpp", 2)))
    assert sent.end.state is CommandState.REFUSED
    assert [type(command) for _, command in world.sent] == [GetVariables]
    world.answers[GetVariables] = CommandTimeout("CP000", "GetVariables", 5.0)
    sent = await send(world, SetNetworkProfile(1, NetworkProfile("wss://x/ocpp", 2)))
    assert sent.end.state is CommandState.REFUSED, "of one that does not answer the twin is believed"


@pytest.mark.parametrize(
    ("vendor", "allowed"), [("acme", True), ("ACME", True), ("acme2", False), ("", False), ("*", False)]
)
async def test_a_vendors_own_message_goes_out_only_if_the_vendor_is_named(
    world: World, vendor: str, allowed: bool
) -> None:
    end = (await send(world, DataTransfer(vendor, data="hush"))).end
    assert end.state is (CommandState.ANSWERED if allowed else CommandState.REFUSED)
    assert len(world.sent) == allowed
    if not allowed:
        assert "AMPWAVE_DATA_TRANSFER_VENDORS" in end.reason


async def test_by_default_nobodys_messages_are_allowed(world: World) -> None:
    made = world.node
    node = Node(made.stores, made.sender, made.verifier, made.office)
    assert (await send(world, DataTransfer("acme"), node=node)).end.state is CommandState.REFUSED


async def test_an_end_is_written_once_with_what_was_asked_and_by_whom(world: World) -> None:
    record = CommandRecord(
        "c1", "CP000", "reset", {"kind": "OnIdle"}, "ab" * 32, "olga", START, START + timedelta(seconds=5)
    )
    await world.commands.open(record)
    activities = OperatorActivities(world.stores)
    end = CommandEnd(CommandState.ANSWERED, "it answered Accepted", "Accepted")
    for _ in range(2):
        await activities.close_command(CloseCommand("c1", end))
    assert (await world.commands.get("c1")).end == end
    [entry] = world.audit.rows
    assert (entry.actor, entry.action, entry.subject) == ("olga", "charger.command", "charger/CP000")
    assert entry.detail["parameters"] == {"kind": "OnIdle"}
    assert entry.detail["answer"] == "Accepted"


@given(st.one_of([any_of(kind) for kind in GUARDS]))
def test_every_command_reaches_the_node_as_it_was_and_needs_something_known(command: Command) -> None:
    assert decode(BY_NAME[type(command).__name__], to_json(command)) == command
    assert isinstance(need_of(command), Need)
