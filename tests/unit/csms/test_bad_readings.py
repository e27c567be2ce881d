"""Meter values that break the schema: read around or refused, and nothing else is touched."""

from typing import Any

import pytest

from csms import schemas
from csms.frames import OCPP16, OCPP21, OCPP201
from storage.events import DeviationTolerated, FrameRejected, MeterValuesSampled, TransactionEnded

AT = "2026-11-20T12:00:00Z"
GOOD = {"timestamp": AT, "sampledValue": [{"value": "7.5"}]}
GOOD_2X = {"timestamp": AT, "sampledValue": [{"value": 7.5}]}
BAD: tuple[Any, ...] = (
    "7.5",
    None,
    {},
    [[]],
    [{"timestamp": AT}],
    [{"sampledValue": "1"}],
    [{"timestamp": 5, "sampledValue": [{"value": "much"}]}],
    [{"timestamp": AT, "sampledValue": [{"value": "much"}]}],
    [{"timestamp": AT, "sampledValue": [{"value": {"deep": [1]}}]}],
    [{"timestamp": AT, "sampledValue": [{"measurand": "Happiness"}]}],
)
STARTED = {
    "eventType": "Started",
    "timestamp": AT,
    "triggerReason": "CablePluggedIn",
    "seqNo": 0,
    "transactionInfo": {"transactionId": "t1"},
    "evse": {"id": 1, "connectorId": 1},
}


def sampled(dialect: str, values: Any) -> tuple[str, dict[str, Any]]:
    place = {"connectorId": 1} if dialect == OCPP16 else {"evseId": 1}
    return "MeterValues", {**place, "meterValue": values}


async def start(world: Any, dialect: str) -> None:
    if dialect == OCPP16:
        begun = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": AT}
        assert (await world.socket.ask(2, "s", "StartTransaction", begun))[0] == 3
    else:
        assert (await world.socket.ask(2, "s", "TransactionEvent", STARTED))[0] == 3


@pytest.mark.parametrize("dialect", [OCPP16, OCPP201, OCPP21])
@pytest.mark.parametrize("values", BAD, ids=repr)
async def test_a_reading_that_breaks_the_schema_costs_nothing_but_itself(
    make_world: Any, dialect: str, values: Any
) -> None:
    world = await make_world(dialect)
    await start(world, dialect)
    action, payload = sampled(dialect, values)
    answer = await world.socket.ask(2, "bad", action, payload)
    assert answer[1] == "bad", "answered, so that the charger neither waits for it nor repeats it for ever"
    refused, read_around = world.store.facts(FrameRejected), world.store.facts(DeviationTolerated)
    assert (len(refused) == 1) is (answer[0] == 4)
    # A 1.6 value is any text by its schema.
    broken = schemas.check_request(dialect, action, payload) is not None
    assert bool(refused or read_around) is broken, "and on the timeline"
    assert all(fact.samples == () for fact in world.store.facts(MeterValuesSampled)), "no value is made up"
    assert len(world.twin.operation.transactions) == 1, "the session goes on"
    good = GOOD if dialect == OCPP16 else GOOD_2X
    action, payload = sampled(dialect, [good])
    assert (await world.socket.ask(2, "good", action, payload))[0] == 3
    assert [one.value for fact in world.store.facts(MeterValuesSampled) for one in fact.samples] == [7.5]


async def test_an_end_with_a_bad_reading_is_an_end(make_world: Any) -> None:
    """An end that is refused would be repeated for ever, and its charger would count as busy for good."""
    world = await make_world(OCPP201)
    await start(world, OCPP201)
    ended = {**STARTED, "eventType": "Ended", "triggerReason": "EVDeparted", "seqNo": 1}
    bad = {**ended, "meterValue": [{"timestamp": AT, "sampledValue": [{"value": "much"}]}]}
    assert (await world.socket.ask(2, "1", "TransactionEvent", bad))[0] == 3
    assert len(world.store.facts(TransactionEnded)) == 1
    assert world.twin.operation.transactions == {}
