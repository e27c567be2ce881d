"""Block F, trigger message (F06)."""

from typing import Any

import pytest

from csms.commands import AnswerStatus, TriggerKind, TriggerMessage
from storage.events import EventKind, FirmwareStatus
from tests.integration.conformance.station import now
from tests.integration.conformance.wire import OCPP21, OCPP201

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("F71"),
    pytest.mark.parametrize("version", [OCPP201, OCPP21]),
]

POWER = {"value": 11000.0, "measurand": "Power.Active.Import", "context": "Trigger"}


def meter() -> list[dict[str, Any]]:
    """One reading, taken because it was asked for."""
    return [{"timestamp": now(), "sampledValue": [POWER]}]


async def triggered(csms: Any, station: Any, command: TriggerMessage) -> dict[str, Any]:
    """Trigger a message, which the station accepts; what was sent."""
    station.will_answer("TriggerMessage", status="Accepted")
    assert (await csms.send(command)).status is AnswerStatus.ACCEPTED
    sent: dict[str, Any] = await station.heard("TriggerMessage")
    assert sent["requestedMessage"] == command.kind.value
    return sent


async def test_tc_f_11_meter_values_of_one_evse(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        sent = await triggered(csms, station, TriggerMessage(TriggerKind.METER_VALUES, evse_id=1))
        assert sent["evse"] == {"id": 1}
        await station.told("MeterValues", {"evseId": 1, "meterValue": meter()})
        (sampled,) = await csms.events(EventKind.METER_VALUES_SAMPLED)
        assert (sampled["evse_id"], sampled["samples"][0]["value"]) == (1, 11000.0)


async def test_tc_f_12_meter_values_of_all_evses(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        assert "evse" not in await triggered(csms, station, TriggerMessage(TriggerKind.METER_VALUES))
        for evse in (1, 2):
            await station.told("MeterValues", {"evseId": evse, "meterValue": meter()})
        sampled = await csms.events(EventKind.METER_VALUES_SAMPLED)
        assert [each["evse_id"] for each in sampled] == [1, 2]


@pytest.mark.parametrize("evse", [pytest.param(1, id="tc_f_13"), pytest.param(None, id="tc_f_14")])
async def test_tc_f_13_14_the_state_of_a_session(csms: Any, version: str, evse: int | None) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await station.start()
        sent = await triggered(csms, station, TriggerMessage(TriggerKind.TRANSACTION, evse_id=evse))
        assert sent.get("evse") == (None if evse is None else {"id": evse})
        await station.transaction("Updated", "Trigger", "Charging", meterValue=meter())
        *_, updated = await csms.events(EventKind.TRANSACTION_UPDATED)
        assert (updated["transaction_id"], updated["charging_state"]) == ("T-1", "Charging")
        assert await csms.busy() == "session T-1 is open on EVSE 1"


async def test_tc_f_15_the_log_status_while_nothing_is_going_on(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await triggered(csms, station, TriggerMessage(TriggerKind.LOG_STATUS))
        await station.told("LogStatusNotification", {"status": "Idle"})
        (reported,) = await csms.events(EventKind.LOG_STATUS_REPORTED)
        assert (reported["status"], reported["request_id"]) == ("Idle", None)


async def test_tc_f_18_the_firmware_status_while_nothing_is_going_on(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        assert "evse" not in await triggered(csms, station, TriggerMessage(TriggerKind.FIRMWARE_STATUS))
        await station.firmware("Idle", None)
        assert (await csms.twin()).firmware.status is FirmwareStatus.IDLE
        assert await csms.trail() == [("Idle", None)]


async def test_tc_f_20_a_heartbeat(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await triggered(csms, station, TriggerMessage(TriggerKind.HEARTBEAT))
        assert "currentTime" in await station.call("Heartbeat", {})
        assert len(await csms.events(EventKind.HEARTBEAT_RECEIVED)) == 1


@pytest.mark.parametrize("status", ["Available", "Occupied"], ids=["tc_f_23", "tc_f_24"])
async def test_tc_f_23_24_the_status_of_one_connector(csms: Any, version: str, status: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await station.status(status)
        sent = await triggered(csms, station, TriggerMessage(TriggerKind.STATUS, evse_id=1, connector_id=1))
        assert sent["evse"] == {"id": 1, "connectorId": 1}
        await station.status(status)
        assert await csms.connectors() == {"1.1": status, "2.1": "Available"}


async def test_tc_f_27_a_message_that_the_station_cannot_send(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer("TriggerMessage", status="NotImplemented")
        answer = await csms.send(TriggerMessage(TriggerKind.METER_VALUES))
        assert answer.status is AnswerStatus.NOT_IMPLEMENTED
        await station.ready("Triggered")
    assert await csms.answered("TriggerMessage") == ["NotImplemented"]
