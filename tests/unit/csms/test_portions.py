"""Long lists in as many calls as a charger takes: nothing left out, nothing twice, nothing too long."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.commands import (
    AnswerStatus,
    Command,
    GetVariables,
    Reset,
    ResetKind,
    SetVariables,
    VariableValue,
)
from csms.errors import CallFailed
from csms.frames import OCPP16, OCPP201
from csms.monitoring import ClearVariableMonitoring, GetReport
from csms.portions import Room, is_list, portions, room_for, smaller
from storage.capability import Declared
from storage.errors import InvalidInput
from storage.events import CommandSent, VariablesReported

NAMES = st.lists(st.text("abcXYZ", min_size=1, max_size=12), min_size=1, max_size=40)


def rendered(command: Command) -> int:
    """A size that grows with every item, as JSON does."""
    assert isinstance(command, GetVariables)
    return 40 + len(json.dumps(list(command.names)))


@given(NAMES, st.none() | st.integers(1, 50), st.none() | st.integers(60, 400))
def test_portions_are_the_whole_in_order_and_each_fits(
    names: list[str], items: int | None, length: int | None
) -> None:
    found = portions(GetVariables(tuple(names)), Room(items, length), rendered)
    assert [name for part in found for name in part.names] == names  # type: ignore[union-attr]
    for part in found:
        assert isinstance(part, GetVariables)
        assert part.names
        assert items is None or len(part.names) <= items
        assert length is None or rendered(part) <= length


def test_an_item_that_fits_into_no_message_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidInput, match="One item of GetVariables alone makes a message of"):
        portions(GetVariables(("short", "x" * 200)), Room(message_bytes=100), rendered)


def test_only_lists_with_something_in_them_are_split() -> None:
    assert not is_list(GetVariables())
    assert not is_list(Reset(ResetKind.ON_IDLE))
    assert is_list(ClearVariableMonitoring((1,)))


TOLD = {
    "DeviceDataCtrlr.ItemsPerMessage[GetVariables]": "4",
    "DeviceDataCtrlr.BytesPerMessage[GetVariables]": "900",
    "DeviceDataCtrlr.ItemsPerMessage[SetVariables]": "nonsense",
    "DeviceDataCtrlr.ItemsPerMessage[GetReport]": "-1",
    "MonitoringCtrlr.ItemsPerMessage[ClearVariableMonitoring]": "3",
    "GetConfigurationMaxKeys": "7",
}


@pytest.mark.parametrize(
    ("command", "dialect", "declared", "room"),
    [
        (GetVariables(("A.B",)), OCPP201, Declared(), Room(4, 900)),
        (GetVariables(("A.B",)), OCPP201, Declared(items_per_get=2, bytes_per_message=500), Room(2, 500)),
        (SetVariables((VariableValue("A.B", "1"),)), OCPP201, Declared(), Room()),
        (SetVariables((VariableValue("A.B", "1"),)), OCPP201, Declared(items_per_set=5), Room(5)),
        (GetReport(1, ("A",)), OCPP201, Declared(items_per_get=2), Room()),
        (ClearVariableMonitoring((1, 2)), OCPP201, Declared(), Room(3)),
        (GetVariables(("A",)), OCPP16, Declared(), Room(7)),
        (SetVariables((VariableValue("A", "1"),)), OCPP16, Declared(), Room()),
    ],
)
def test_the_room_is_what_was_declared_else_what_the_charger_told(
    command: Command, dialect: str, declared: Declared, room: Room
) -> None:
    assert room_for(command, dialect, TOLD, declared) == room


def test_a_charger_that_says_it_takes_next_to_nothing_can_still_be_asked() -> None:
    told = {"DeviceDataCtrlr.BytesPerMessage[GetVariables]": "10"}
    assert room_for(GetVariables(("A.B",)), OCPP201, told, Declared()) == Room()


def test_only_a_reading_is_tried_again_in_halves() -> None:
    assert smaller(GetVariables(("A", "B", "C")), "OccurenceConstraintViolation") == (
        GetVariables(("A",)),
        GetVariables(("B", "C")),
    )
    assert smaller(GetVariables(("A",)), "OccurrenceConstraintViolation") == ()
    assert smaller(GetVariables(("A", "B")), "InternalError") == ()
    assert smaller(SetVariables((VariableValue("A", "1"),) * 2), "OccurrenceConstraintViolation") == ()


# Through a session, against a station that takes so much and no more.


def strict(limit: int, calls: list[int]) -> Any:
    """A 2.0.1 station that refuses longer lists, as B06.FR.16 lets it."""

    def answer(call: list[Any]) -> list[Any]:
        _, message_id, action, payload = call
        (key,) = (name for name in payload if name.endswith("Data"))
        calls.append(len(payload[key]))
        if len(payload[key]) > limit:
            return [4, message_id, "OccurrenceConstraintViolation", "", {}]
        results = [
            {
                "attributeStatus": "UnknownVariable" if each["variable"]["name"] == "V3" else "Accepted",
                "component": each["component"],
                "variable": each["variable"],
                **({"attributeValue": each["variable"]["name"]} if action == "GetVariables" else {}),
            }
            for each in payload[key]
        ]
        return [3, message_id, {key.replace("Data", "Result"): results}]

    return answer


async def asked(world: Any, command: Command, station: Any) -> Any:
    sending = asyncio.create_task(world.session.send(command, 5))
    while not sending.done():
        hearing = asyncio.create_task(world.socket.hear())
        await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
        if hearing.done():
            world.socket.say(*station(hearing.result()))
        hearing.cancel()
    return await sending


def some(count: int) -> tuple[str, ...]:
    return tuple(f"C.V{number}" for number in range(count))


def with_room(room: Room) -> Any:
    async def known(_charger_id: str, _command: Command) -> Room:
        return room

    return known


@pytest.mark.requirement("F76")
async def test_a_long_reading_goes_out_in_portions_and_comes_back_as_one(make_world: Any) -> None:
    calls: list[int] = []
    world = await make_world(OCPP201, room=with_room(Room(items=4)))
    answer = await asked(world, GetVariables(some(10)), strict(4, calls))
    assert calls == [4, 4, 2]
    assert answer.status is AnswerStatus.ACCEPTED
    assert [name for name, _ in answer.values] == [name for name in some(10) if name != "C.V3"]
    assert answer.detail == "C.V3 UnknownVariable"
    await world.session.settled()
    told = [fact.values for fact in world.store.facts(VariablesReported)]
    assert [len(values) for values in told] == [3, 4, 2], "each portion's values reach the twin"


@pytest.mark.requirement("F76")
async def test_a_long_writing_has_an_answer_for_each_item(make_world: Any) -> None:
    calls: list[int] = []
    world = await make_world(OCPP201, room=with_room(Room(items=3)))
    command = SetVariables(tuple(VariableValue(name, "1") for name in some(7)))
    answer = await asked(world, command, strict(3, calls))
    assert calls == [3, 3, 1]
    assert [item.name for item in answer.items] == list(some(7))
    assert answer.status is AnswerStatus.UNKNOWN_VARIABLE


async def test_no_message_is_longer_than_the_charger_takes(make_world: Any) -> None:
    lengths: list[int] = []
    station = strict(99, [])

    def measuring(call: list[Any]) -> list[Any]:
        lengths.append(len(json.dumps(call, separators=(",", ":")).encode()))
        answer: list[Any] = station(call)
        return answer

    world = await make_world(OCPP201, room=with_room(Room(message_bytes=300)))
    answer = await asked(world, GetVariables(some(12)), measuring)
    assert len(answer.values) == 11
    assert len(lengths) > 1
    assert max(lengths) <= 300


async def test_a_station_that_had_not_told_its_limit_is_asked_in_halves(make_world: Any) -> None:
    calls: list[int] = []
    world = await make_world(OCPP201)
    answer = await asked(world, GetVariables(some(9)), strict(3, calls))
    assert len(answer.values) == 8
    assert calls == [9, 4, 2, 2, 5, 2, 3]


async def test_a_writing_that_was_too_much_is_not_tried_again(make_world: Any) -> None:
    calls: list[int] = []
    world = await make_world(OCPP201)
    command = SetVariables(tuple(VariableValue(name, "1") for name in some(4)))
    with pytest.raises(CallFailed, match="OccurrenceConstraintViolation"):
        await asked(world, command, strict(3, calls))
    assert calls == [4]


async def test_nothing_is_sent_of_what_does_not_fit_whole(make_world: Any) -> None:
    world = await make_world(OCPP201, room=with_room(Room(message_bytes=300)))
    values = (VariableValue("C.V0", "1"), VariableValue("C.V1", "long" * 200))
    with pytest.raises(InvalidInput):
        await world.session.send(SetVariables(values), 5)
    assert world.store.facts(CommandSent) == []


async def test_each_part_of_a_report_has_its_own_id_and_waits_until_the_one_before_is_out(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # B08.FR.16: while a report comes, another one may be refused.
    monkeypatch.setattr("csms.session._AGAIN_S", 0)
    seen: list[tuple[int, int, str]] = []
    words = iter(("Accepted", "Rejected", "Accepted", "EmptyResultSet"))

    def station(call: list[Any]) -> list[Any]:
        word = next(words)
        seen.append((call[3]["requestId"], len(call[3]["componentVariable"]), word))
        return [3, call[1], {"status": word}]

    world = await make_world(OCPP201, room=with_room(Room(items=2)))
    answer = await asked(world, GetReport(5, some(5)), station)
    assert seen == [(5, 2, "Accepted"), (77, 2, "Rejected"), (77, 2, "Accepted"), (77, 1, "EmptyResultSet")]
    assert answer.status is AnswerStatus.ACCEPTED, "one part with nothing in it is no fault of the whole"
