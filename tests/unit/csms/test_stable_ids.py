"""One charger, one connector, one name: whichever message tells of it, in whichever version (F103)."""

from typing import Any

import pytest

from csms.frames import OCPP16, OCPP21, OCPP201
from storage.events import ConnectorStatusChanged, MeterValuesSampled, TransactionStarted

pytestmark = pytest.mark.requirement("F103")

AT = "2026-11-20T12:00:00Z"
PLACE = {"id": 2, "connectorId": 1}
MESSAGES_16: tuple[tuple[str, dict[str, Any]], ...] = (
    ("StatusNotification", {"connectorId": 2, "errorCode": "NoError", "status": "Preparing"}),
    ("StartTransaction", {"connectorId": 2, "idTag": "T", "meterStart": 0, "timestamp": AT}),
    (
        "MeterValues",
        {"connectorId": 2, "meterValue": [{"timestamp": AT, "sampledValue": [{"value": "7"}]}]},
    ),
)
MESSAGES_2X: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "StatusNotification",
        {"timestamp": AT, "connectorStatus": "Occupied", "evseId": 2, "connectorId": 1},
    ),
    (
        "TransactionEvent",
        {
            "eventType": "Started",
            "timestamp": AT,
            "triggerReason": "CablePluggedIn",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "t1"},
            "evse": PLACE,
        },
    ),
    ("MeterValues", {"evseId": 2, "meterValue": [{"timestamp": AT, "sampledValue": [{"value": 7}]}]}),
)


@pytest.mark.parametrize(
    ("dialect", "messages"), [(OCPP16, MESSAGES_16), (OCPP201, MESSAGES_2X), (OCPP21, MESSAGES_2X)]
)
async def test_every_message_of_a_connector_names_it_the_same_way(
    make_world: Any, dialect: str, messages: tuple[tuple[str, dict[str, Any]], ...]
) -> None:
    world = await make_world(dialect)
    for number, (action, payload) in enumerate(messages):
        assert (await world.socket.ask(2, str(number), action, payload))[0] == 3
    await world.session.settled()
    (status,) = world.store.facts(ConnectorStatusChanged)
    (started,) = world.store.facts(TransactionStarted)
    (sampled,) = world.store.facts(MeterValuesSampled)
    assert (status.evse_id, status.connector_id) == (started.evse_id, started.connector_id) == (2, 1)
    assert sampled.evse_id == 2
    # In the twin, whatever the version calls it.
    assert list(world.twin.operation.connectors) == ["2.1"]
    (transaction,) = world.twin.operation.transactions.values()
    assert transaction.evse_id == 2
    assert {record.charger_id for record in world.store.events} == {"CP-1"}
