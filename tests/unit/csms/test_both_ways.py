"""Our calls and the charger's meet on one socket, in any order, and never wait for each other."""

import asyncio
import itertools
from typing import Any

import pytest

from csms.commands import AnswerStatus, ChangeAvailability, Reset, ResetKind
from csms.errors import CallFailed, CommandTimeout, NotConnectedHere
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.options import Sources
from csms.session import GOING
from storage.clock import system_clock
from storage.events import CommandAnswered, CommandSent, HeartbeatReceived

RESET = Reset(ResetKind.ON_IDLE)
DIALECTS = [OCPP16, OCPP201, OCPP21]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_charger_that_answers_us_only_after_we_answered_it(make_world: Any, dialect: str) -> None:
    world = await make_world(dialect)
    world.store.gate = asyncio.Event()
    world.socket.say(2, "theirs", "Heartbeat", {})
    await asyncio.wait_for(world.store.committing.wait(), 5)
    sending = asyncio.create_task(world.session.send(RESET, 5))
    world.store.gate.set()
    heard = [await world.socket.hear(), await world.socket.hear()]
    assert sorted(frame[0] for frame in heard) == [2, 3]
    world.socket.say(3, "m1", {"status": "Accepted"})
    assert (await sending).status is AnswerStatus.ACCEPTED


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_charger_that_asks_in_the_middle_of_our_call_and_answers_last(
    make_world: Any, dialect: str
) -> None:
    world = await make_world(dialect)
    sending = asyncio.create_task(world.session.send(RESET, 5))
    assert (await world.socket.hear())[2] == "Reset"
    for number in range(100):
        assert (await world.socket.ask(2, str(number), "Heartbeat", {}))[:2] == [3, str(number)]
    world.socket.say(3, "m1", {"status": "Accepted"})
    assert (await sending).status is AnswerStatus.ACCEPTED


async def test_our_answer_waits_for_the_store_and_our_call_does_not_wait_for_our_answer(
    make_world: Any, monkeypatch: Any
) -> None:
    """The charger's start waits for its id; a call of ours passes it and is answered meanwhile."""
    monkeypatch.setattr("csms.inbound._RETRY_S", 0)
    world = await make_world()
    world.ids.away = True
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-11-20T11:59:00Z"}
    world.socket.say(2, "1", "StartTransaction", start)
    sending = asyncio.create_task(world.session.send(RESET, 5))
    assert (await world.socket.hear())[2] == "Reset"
    world.socket.say(3, "m1", {"status": "Accepted"})
    assert (await sending).status is AnswerStatus.ACCEPTED
    world.ids.away = False
    assert (await world.socket.hear())[:2] == [3, "1"]


@pytest.mark.parametrize(
    "answer", [[3, "other", {"status": "Accepted"}], [3, "", {}], [4, "-1", "GenericError", "", {}]]
)
async def test_an_answer_with_a_wrong_id_answers_nothing(make_world: Any, answer: list[Any]) -> None:
    world = await make_world()
    sending = asyncio.create_task(world.session.send(RESET, 5))
    await world.socket.hear()
    world.socket.say(*answer)
    await world.socket.ask(2, "1", "Heartbeat", {})
    assert not sending.done()
    world.socket.say(3, "m1", {"status": "Accepted"})
    assert (await sending).status is AnswerStatus.ACCEPTED


async def test_a_second_answer_to_the_same_call_changes_nothing(make_world: Any) -> None:
    world = await make_world()
    sending = asyncio.create_task(world.session.send(RESET, 5))
    await world.socket.hear()
    world.socket.say(3, "m1", {"status": "Accepted"})
    world.socket.say(3, "m1", {"status": "Rejected"})
    world.socket.say(4, "m1", "InternalError", "", {})
    assert (await sending).status is AnswerStatus.ACCEPTED
    await world.socket.ask(2, "1", "Heartbeat", {})
    assert world.store.facts(CommandAnswered)[0].status == "Accepted"


async def test_a_late_answer_does_not_answer_the_call_after_it(make_world: Any) -> None:
    world = await make_world()
    with pytest.raises(CommandTimeout):
        await world.session.send(RESET, 0.02)
    await world.socket.hear()
    second = asyncio.create_task(world.session.send(ChangeAvailability(operative=False), 5))
    await world.socket.hear()
    world.socket.say(4, "m1", "InternalError", "too late", {})
    world.socket.say(3, "m2", {"status": "Accepted"})
    assert (await second).status is AnswerStatus.ACCEPTED
    await world.session.settled()
    assert [(each.message_id, each.late) for each in world.store.facts(CommandAnswered)] == [
        ("m1", True),
        ("m2", False),
    ]


async def test_a_callerror_is_an_error_with_its_code(make_world: Any) -> None:
    world = await make_world()
    sending = asyncio.create_task(world.session.send(RESET, 5))
    await world.socket.hear()
    world.socket.say(4, "m1", "SecurityError", "not you", {})
    with pytest.raises(CallFailed) as failed:
        await sending
    assert (failed.value.code, failed.value.description) == ("SecurityError", "not you")


def test_message_ids_are_never_used_twice() -> None:
    """OCPP 2.0.1 Part 4 section 4.1.4: unique over every connection of an identity."""
    sources = [Sources(system_clock) for _ in range(3)]
    ids = [new.new_message_id() for new, _ in itertools.product(sources, range(500))]
    assert len(set(ids)) == len(ids)
    assert all(len(each) <= 36 for each in ids)


async def test_at_the_end_of_a_node_the_command_in_flight_finishes_and_no_other_begins(
    make_world: Any,
) -> None:
    world = await make_world()
    sending = asyncio.create_task(world.session.send(RESET, 5))
    await world.socket.hear()
    leaving = asyncio.create_task(world.session.hand_over(5))
    await asyncio.sleep(0)
    with pytest.raises(NotConnectedHere):
        await world.session.send(RESET, 5)
    assert (await world.socket.ask(2, "1", "Heartbeat", {}))[:2] == [3, "1"], "it is served to the last"
    assert not leaving.done()
    world.socket.say(3, "m1", {"status": "Accepted"})
    assert (await sending).status is AnswerStatus.ACCEPTED
    await leaving
    assert (await asyncio.wait_for(world.running, 5)).code == GOING
    assert len(world.store.facts(CommandSent)) == 1
    assert len(world.store.facts(HeartbeatReceived)) == 1


async def test_a_command_that_never_ends_does_not_hold_up_the_end_of_a_node(make_world: Any) -> None:
    world = await make_world()
    sending = asyncio.create_task(world.session.send(RESET, 600))
    await world.socket.hear()
    await world.session.hand_over(0.01)
    with pytest.raises(CommandTimeout):
        await asyncio.wait_for(sending, 5)
    assert (await asyncio.wait_for(world.running, 5)).code == GOING


@pytest.mark.requirement("X1")
async def test_the_last_look_is_taken_when_the_turn_has_come_and_may_hold_the_command_back(
    make_world: Any,
) -> None:
    world = await make_world()
    looked: list[str] = []

    async def look() -> None:
        looked.append("looked")
        raise PermissionError("a car has come")

    first = asyncio.create_task(world.session.send(RESET, 5))
    await world.socket.hear()
    held = asyncio.create_task(world.session.send(ChangeAvailability(operative=False), 5, look))
    await world.socket.ask(2, "1", "Heartbeat", {})
    assert not looked, "another call is outstanding"
    world.socket.say(3, "m1", {"status": "Accepted"})
    await first
    with pytest.raises(PermissionError):
        await held
    third = asyncio.create_task(world.session.send(RESET, 5))
    assert (await world.socket.hear())[2] == "Reset", "nothing of the second one was ever written"
    world.socket.say(3, "m3", {"status": "Accepted"})
    await third
