import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    GetVariables,
    Reset,
    ResetKind,
    TriggerKind,
    TriggerMessage,
    UpdateFirmware,
)
from csms.errors import CallFailed, CommandTimeout, ConnectionLost, NotConnectedHere
from csms.frames import OCPP16, OCPP21, OCPP201
from storage.errors import InvalidInput
from storage.events import (
    ChargerBooted,
    CommandAnswered,
    CommandSent,
    FrameRejected,
    HeartbeatReceived,
    MeterValuesSampled,
    TransactionEnded,
    TransactionStarted,
    VariablesReported,
)

BOOT16 = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1.0"}
STATUS16 = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
START16 = {"connectorId": 1, "idTag": "SECRET", "meterStart": 0, "timestamp": "2026-11-20T11:59:00Z"}
RESET = Reset(ResetKind.ON_IDLE)


async def until_committing(world: Any) -> None:
    await asyncio.wait_for(world.store.committing.wait(), 5)


# What a charger asks.


async def test_a_boot_is_accepted_with_our_time(make_world: Any) -> None:
    world = await make_world()
    boots: list[None] = []
    world.session.on_boot = lambda: boots.append(None)
    answer = await world.socket.ask(2, "1", "BootNotification", BOOT16)
    assert answer == [
        3,
        "1",
        {"status": "Accepted", "currentTime": "2026-11-20T12:00:00.000Z", "interval": 60},
    ]
    assert world.store.facts(ChargerBooted) == [ChargerBooted("V", "M", "1.0")]
    assert boots == [None]


async def test_nothing_is_answered_before_it_is_stored(make_world: Any) -> None:
    world = await make_world()
    world.store.gate = asyncio.Event()
    world.socket.say(2, "1", "Heartbeat", {})
    await until_committing(world)
    assert world.socket.unheard == 0
    world.clock.advance(5)
    world.store.gate.set()
    answer = await world.socket.hear()
    assert answer[2]["currentTime"] == "2026-11-20T12:00:05.000Z", "a late answer must not set a clock wrong"
    assert world.store.journal("in") == ['[2, "1", "Heartbeat", {}]']
    assert len(world.store.journal("out")) == 1


@pytest.mark.requirement("F82")
async def test_a_start_that_is_sent_twice_gets_one_id_and_is_one_session(make_world: Any) -> None:
    world = await make_world()
    first = await world.socket.ask(2, "1", "StartTransaction", START16)
    again = await world.socket.ask(2, "2", "StartTransaction", START16)
    other = await world.socket.ask(2, "3", "StartTransaction", {**START16, "connectorId": 2})
    assert first[2]["transactionId"] == again[2]["transactionId"] != other[2]["transactionId"]
    assert [event.evse_id for event in world.store.facts(TransactionStarted)] == [1, 2]


@pytest.mark.requirement("F23")
async def test_id_tokens_are_neither_journaled_nor_stored(make_world: Any) -> None:
    world = await make_world()
    await world.socket.ask(2, "1", "Authorize", {"idTag": "SECRET"})
    await world.socket.ask(2, "2", "StartTransaction", START16)
    assert "SECRET" not in repr(world.store.frames) + repr(world.store.events)
    (started,) = world.store.facts(TransactionStarted)
    assert len(started.id_token_hash) == 64


async def test_a_start_waits_for_its_id_rather_than_fail(make_world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("csms.inbound._RETRY_S", 0)
    world = await make_world()
    world.ids.away = True
    world.socket.say(2, "1", "StartTransaction", START16)
    world.socket.say(2, "2", "Heartbeat", {})
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.socket.unheard == 0
    world.ids.away = False
    assert (await world.socket.hear())[:2] == [3, "1"]
    assert (await world.socket.hear())[:2] == [3, "2"]


# What is not a valid message.


@pytest.mark.parametrize(
    ("dialect", "raw", "answer"),
    [
        (OCPP16, "nonsense", ["-1", "FormationViolation"]),
        (OCPP201, "nonsense", ["-1", "RpcFrameworkError"]),
        (OCPP16, b"\x00", ["-1", "FormationViolation"]),
        (OCPP201, '[2,"7","Heartbeat"]', ["7", "RpcFrameworkError"]),
        (OCPP16, '[2,"7","Nonsense",{}]', ["7", "NotImplemented"]),
        (OCPP16, '[2,"7","Reset",{"type":"Hard"}]', ["7", "NotSupported"]),
        (OCPP201, '[2,"7","Get15118EVCertificate",{}]', ["7", "OccurrenceConstraintViolation"]),
        (OCPP16, '[2,"7","StatusNotification",{"connectorId":1}]', ["7", "OccurenceConstraintViolation"]),
        (OCPP16, '[2,"7","Authorize",{"idTag":5}]', ["7", "TypeConstraintViolation"]),
        (OCPP21, '[6,"7","Nonsense",{}]', None),
    ],
)
async def test_every_bad_frame_is_answered_recorded_and_survived(
    make_world: Any, dialect: str, raw: str | bytes, answer: list[str] | None
) -> None:
    world = await make_world(dialect)
    world.socket.say_raw(raw)
    world.socket.say(2, "after", "Heartbeat", {})
    if answer is not None:
        heard = await world.socket.hear()
        assert heard[0] == 4
        assert heard[1:3] == answer
        assert heard[3]
    assert (await world.socket.hear())[:2] == [3, "after"]
    (rejected,) = world.store.facts(FrameRejected)
    assert rejected.detail
    assert len(world.store.journal("in")) == 2


async def test_2_1_send_is_kept_and_not_answered_and_callresulterror_is_kept(make_world: Any) -> None:
    world = await make_world(OCPP21)
    stream = {"data": [{"t": 1.0, "v": "2"}], "id": 1, "pending": 0, "basetime": "2026-11-20T12:00:00Z"}
    world.socket.say(6, "s", "NotifyPeriodicEventStream", stream)
    world.socket.say(5, "x", "FormatViolation", "no", {})
    assert (await world.socket.ask(2, "after", "Heartbeat", {}))[:2] == [3, "after"]
    assert len(world.store.journal("in")) == 3
    assert [each.detail for each in world.store.facts(FrameRejected)] == [
        "the charger refused our answer: no"
    ]


async def test_what_cannot_be_stored_is_told_and_does_not_stop_the_session(make_world: Any) -> None:
    world = await make_world()
    world.store.poison = "CP-1"
    assert (await world.socket.ask(2, "1", "Heartbeat", {}))[:3] == [4, "1", "InternalError"]
    world.store.poison = None
    assert (await world.socket.ask(2, "2", "Heartbeat", {}))[:2] == [3, "2"]


# What we ask.


async def test_a_command_is_recorded_sent_and_answered(make_world: Any) -> None:
    world = await make_world()
    sending = asyncio.create_task(world.session.send(RESET, 5))
    assert await world.socket.hear() == [2, "m1", "Reset", {"type": "Soft"}]
    assert world.store.facts(CommandSent) == [CommandSent("Reset", "m1")]
    world.socket.say(3, "m1", {"status": "Rejected"})
    assert (await sending).status is AnswerStatus.REJECTED
    await world.session.settled()
    assert world.store.facts(CommandAnswered) == [CommandAnswered("Reset", "m1", "Rejected")]


async def test_nothing_is_sent_that_could_not_be_recorded(make_world: Any) -> None:
    world = await make_world()
    world.store.gate = asyncio.Event()
    sending = asyncio.create_task(world.session.send(RESET, 5))
    await until_committing(world)
    assert world.socket.unheard == 0
    world.store.gate.set()
    assert (await world.socket.hear())[2] == "Reset"
    world.socket.say(3, "m1", {"status": "Accepted"})
    await sending


async def test_one_call_at_a_time_and_the_other_direction_stays_free(make_world: Any) -> None:
    world = await make_world()
    first = asyncio.create_task(world.session.send(RESET, 5))
    second = asyncio.create_task(world.session.send(ChangeAvailability(operative=False), 5))
    assert (await world.socket.hear())[1] == "m1"
    answer = await world.socket.ask(2, "c", "Heartbeat", {})
    assert answer[:2] == [3, "c"], "our outstanding call does not hold up the charger's"
    assert not second.done()
    world.socket.say(3, "m1", {"status": "Accepted"})
    assert (await world.socket.hear())[1:3] == ["m2", "ChangeAvailability"]
    world.socket.say(3, "m2", {"status": "Scheduled"})
    assert (await first).status is AnswerStatus.ACCEPTED
    assert (await second).status is AnswerStatus.SCHEDULED


async def test_a_late_answer_is_kept_as_late(make_world: Any) -> None:
    world = await make_world()
    with pytest.raises(CommandTimeout, match="CP-1 did not answer Reset"):
        await world.session.send(RESET, 0.02)
    assert (await world.socket.hear())[1] == "m1"
    world.socket.say(3, "m1", {"status": "Accepted"})
    world.socket.say(3, "m9", {})
    await world.socket.ask(2, "c", "Heartbeat", {})
    assert world.store.facts(CommandAnswered) == [CommandAnswered("Reset", "m1", "Accepted", late=True)]
    assert [each.detail for each in world.store.facts(FrameRejected)] == [
        "an answer to no call of this session"
    ]


async def test_incapable_is_an_answer_and_any_other_callerror_an_error(make_world: Any) -> None:
    world = await make_world()
    update = UpdateFirmware(4, "http://host/d/TICKET", world.clock(), "PEM", "c2ln")
    assert world.session.takes_signed_update
    sending = asyncio.create_task(world.session.send(update, 5))
    sent = await world.socket.hear()
    world.socket.say(4, "m1", "NotImplemented", json.dumps(sent[3]), sent[3])
    answer = await sending
    assert answer.status is AnswerStatus.NOT_IMPLEMENTED
    assert not world.session.takes_signed_update
    sending = asyncio.create_task(world.session.send(RESET, 5))
    await world.socket.hear()
    world.socket.say(4, "m2", "InternalError", "http://host/d/TICKET is wrong", {})
    with pytest.raises(CallFailed, match="CALLERROR InternalError") as failed:
        await sending
    await world.session.settled()
    kept = repr(world.store.frames) + repr(world.store.events) + str(failed.value) + repr(answer)
    assert "TICKET" not in kept
    assert [(each.status, each.request_id) for each in world.store.facts(CommandAnswered)] == [
        ("CallError:NotImplemented", 4),
        ("CallError:InternalError", None),
    ]


async def test_whoever_waits_learns_at_once_that_the_socket_is_gone(make_world: Any) -> None:
    world = await make_world()
    sending = asyncio.create_task(world.session.send(RESET, 600))
    await world.socket.hear()
    await world.hung_up()
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(sending, 5)
    with pytest.raises(NotConnectedHere):
        await world.session.send(RESET, 600)


@pytest.mark.parametrize(
    ("raw", "error"),
    [('[3,"m1",5]', "FormatViolation"), ('[3,"m1",{"status":"Perhaps"}]', "unreadable answer")],
)
async def test_a_broken_answer_fails_the_call_that_waits_for_it(
    make_world: Any, raw: str, error: str
) -> None:
    world = await make_world(OCPP201)
    sending = asyncio.create_task(world.session.send(RESET, 5))
    await world.socket.hear()
    world.socket.say_raw(raw)
    with pytest.raises(CallFailed, match=error):
        await sending
    await world.session.settled()
    assert len(world.store.facts(FrameRejected)) == 1
    assert world.socket.unheard == 0, "a CALLERROR never answers an answer"


async def test_2_1_tells_the_charger_that_its_answer_broke_the_schema(make_world: Any) -> None:
    world = await make_world(OCPP21)
    sending = asyncio.create_task(world.session.send(RESET, 5))
    await world.socket.hear()
    world.socket.say(3, "m1", {"status": "Accepted", "mood": "good"})
    assert (await sending).status is AnswerStatus.ACCEPTED, "what can be read counts"
    assert (await world.socket.hear())[:3] == [5, "m1", "FormatViolation"]


async def test_a_command_that_does_not_fit_the_message_is_not_sent(make_world: Any) -> None:
    world = await make_world(OCPP201)
    with pytest.raises(InvalidInput, match=r"UpdateFirmware for CP-1"):
        await world.session.send(UpdateFirmware(1, "x" * 513, world.clock()), 5)
    assert world.socket.unheard == 0
    assert world.store.facts(CommandSent) == []


async def test_variables_that_were_read_reach_the_twin(make_world: Any) -> None:
    world = await make_world()
    sending = asyncio.create_task(world.session.send(GetVariables(("SecurityProfile",)), 5))
    await world.socket.hear()
    world.socket.say(
        3, "m1", {"configurationKey": [{"key": "SecurityProfile", "readonly": False, "value": "1"}]}
    )
    await sending
    await world.session.settled()
    assert world.store.facts(VariablesReported) == [VariablesReported({"SecurityProfile": "1"}, "answer")]
    assert world.twin.configuration.values == {"SecurityProfile": "1"}
    assert world.session.security_extension is True


@pytest.mark.requirement("F58")
async def test_the_trigger_is_chosen_from_what_the_charger_has_shown(make_world: Any) -> None:
    world = await make_world()
    trigger = TriggerMessage(TriggerKind.FIRMWARE_STATUS)
    first = asyncio.create_task(world.session.send(trigger, 5))
    assert (await world.socket.hear())[2] == "TriggerMessage"
    world.socket.say(3, "m1", {"status": "Accepted"})
    await first
    event = {"type": "StartupOfTheDevice", "timestamp": "2026-11-20T12:00:00Z"}
    await world.socket.ask(2, "1", "SecurityEventNotification", event)
    second = asyncio.create_task(world.session.send(trigger, 5))
    assert (await world.socket.hear())[2] == "ExtendedTriggerMessage"
    world.socket.say(3, "m2", {"status": "Accepted"})
    await second


# Settling and closing.


@pytest.mark.requirement("X1")
async def test_settled_means_that_all_that_was_received_is_in_the_twin(make_world: Any) -> None:
    world = await make_world()
    world.store.gate = asyncio.Event()
    world.socket.say(2, "1", "StatusNotification", STATUS16)
    world.socket.say(2, "2", "StartTransaction", START16)
    await until_committing(world)
    settling = asyncio.create_task(world.session.settled())
    await asyncio.sleep(0)
    assert not settling.done()
    world.store.gate.set()
    await asyncio.wait_for(settling, 5)
    assert list(world.twin.operation.transactions) == ["1"]


async def test_what_came_in_before_the_socket_closed_is_stored(make_world: Any) -> None:
    world = await make_world()
    world.store.gate = asyncio.Event()
    for number in range(10):
        world.socket.say(2, str(number), "Heartbeat", {})
    await until_committing(world)
    world.socket.hang_up(1006, "cable cut")
    world.store.gate.set()
    closed = await asyncio.wait_for(world.running, 5)
    assert (closed.code, closed.reason) == (1006, "cable cut")
    assert len(world.store.facts(HeartbeatReceived)) == 10


async def test_a_node_that_stops_leaves_unanswered_what_it_could_not_store(make_world: Any) -> None:
    world = await make_world()
    world.store.away = 1_000_000
    world.socket.say(2, "1", "Heartbeat", {})
    world.socket.say(2, "2", "Heartbeat", {})
    await until_committing(world)
    await world.ingest.stop(0)
    closed = await asyncio.wait_for(world.running, 5)
    assert closed.code == 1012
    assert world.socket.unheard == 0


async def test_a_retired_session_stores_what_it_heard_and_hears_and_sends_no_more(make_world: Any) -> None:
    world = await make_world()
    world.store.gate = asyncio.Event()
    world.socket.say(2, "1", "StartTransaction", START16)
    await until_committing(world)
    assert world.session.retire()
    assert not world.session.retire()
    world.socket.say(2, "2", "StatusNotification", STATUS16)
    with pytest.raises(NotConnectedHere):
        await world.session.send(RESET, 5)
    world.store.gate.set()
    await asyncio.wait_for(world.session.settled(), 5)
    await world.hung_up()
    assert list(world.twin.operation.transactions) == ["1"]
    assert world.twin.operation.connectors == {}


async def test_readings_keep_the_chargers_own_time(make_world: Any) -> None:
    world = await make_world()
    value = {"timestamp": "2026-11-20T11:00:00+02", "sampledValue": [{"value": "1"}]}
    await world.socket.ask(2, "1", "MeterValues", {"connectorId": 1, "meterValue": [value]})
    (record,) = [each for each in world.store.events if isinstance(each.event, MeterValuesSampled)]
    assert record.received_at - record.observed_at == timedelta(hours=3)


async def test_an_offline_session_that_is_stopped_without_its_id_ends(make_world: Any) -> None:
    world = await make_world()
    await world.socket.ask(2, "1", "StartTransaction", START16)
    stop = {"transactionId": -1, "meterStop": 5, "timestamp": "2026-11-20T12:00:00Z"}
    await world.socket.ask(2, "2", "StopTransaction", stop)
    assert world.store.facts(TransactionEnded) == [TransactionEnded("1", "Local", 5.0)]
    assert world.twin.operation.transactions == {}
