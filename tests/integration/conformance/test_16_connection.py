"""1.6: triggers (TC_054, TC_055), who comes in (TC_085) and in which version (TC_088)."""

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from csms.commands import AnswerStatus, TriggerKind, TriggerMessage
from storage.events import EventKind
from tests.integration.conformance.station import CHARGER, PASSWORD, now
from tests.integration.conformance.wire import OCPP16
from tests.integration.csms.conftest import basic

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F71")]


async def trigger(csms: Any, station: Any, command: TriggerMessage, answer: AnswerStatus) -> None:
    """Trigger a message, to which the charge point says this."""
    station.will_answer("TriggerMessage", status=answer.value)
    assert (await csms.send(command)).status is answer
    sent = await station.heard("TriggerMessage")
    place = {} if command.evse_id is None else {"connectorId": command.evse_id}
    assert sent == {"requestedMessage": command.kind.value, **place}


async def test_tc_054_messages_come_when_they_are_asked_for(csms: Any) -> None:
    async with csms.station(OCPP16) as station:
        station.signed = False
        await station.ready()
        await trigger(csms, station, TriggerMessage(TriggerKind.METER_VALUES, 1), AnswerStatus.ACCEPTED)
        value = {"value": "123", "context": "Trigger", "measurand": "Energy.Active.Import.Register"}
        reading = {"timestamp": now(), "sampledValue": [value]}
        await station.told("MeterValues", {"connectorId": 1, "meterValue": [reading]})
        await trigger(csms, station, TriggerMessage(TriggerKind.HEARTBEAT), AnswerStatus.ACCEPTED)
        assert "currentTime" in await station.call("Heartbeat", {})
        await trigger(csms, station, TriggerMessage(TriggerKind.STATUS, 1), AnswerStatus.ACCEPTED)
        await station.status("Available")
        await trigger(csms, station, TriggerMessage(TriggerKind.FIRMWARE_STATUS), AnswerStatus.ACCEPTED)
        await station.firmware("Idle", None)
        await trigger(csms, station, TriggerMessage(TriggerKind.DIAGNOSTICS_STATUS), AnswerStatus.ACCEPTED)
        await station.told("DiagnosticsStatusNotification", {"status": "Idle"})
        (sampled,) = await csms.events(EventKind.METER_VALUES_SAMPLED)
        assert (sampled["evse_id"], sampled["samples"][0]["value"]) == (1, 123.0)
        assert len(await csms.events(EventKind.HEARTBEAT_RECEIVED)) == 1
        assert await csms.trail() == [("Idle", None)]
        assert [body["status"] for body in await csms.events(EventKind.LOG_STATUS_REPORTED)] == ["Idle"]


@pytest.mark.parametrize("answer", [AnswerStatus.REJECTED, AnswerStatus.NOT_IMPLEMENTED])
async def test_tc_055_a_trigger_may_be_refused(csms: Any, answer: AnswerStatus) -> None:
    async with csms.station(OCPP16) as station:
        await station.ready()
        await trigger(csms, station, TriggerMessage(TriggerKind.METER_VALUES, 1), answer)
    assert await csms.answered("TriggerMessage") == [answer.value]


@pytest.mark.requirement("F39")
async def test_tc_085_the_right_password_opens_and_no_other(csms: Any) -> None:
    for wrong in ("guess", "", None):
        with pytest.raises(InvalidStatus) as refused:
            async with csms.station(OCPP16, password=wrong):
                pass
        assert refused.value.response.status_code == 401
    await csms.arrived(EventKind.CONNECTION_REFUSED, 3)
    async with csms.station(OCPP16) as station:
        await station.ready()
        twin = await csms.twin()
        assert (twin.security.profile, twin.security.auth_failures) == (1, 3)


@pytest.mark.requirement("F58")
async def test_tc_088_the_version_is_agreed_on(csms: Any) -> None:
    url = f"ws://127.0.0.1:{csms.node.ports[0]}/ocpp/{CHARGER}"
    only_old = [Subprotocol("ocpp0.1")]
    async with connect(url, subprotocols=only_old, additional_headers=basic(CHARGER, PASSWORD)) as socket:
        # OCPP-J 1.6 section 3.2: the handshake is finished without the header, then the socket is closed.
        assert socket.subprotocol is None
        await asyncio.wait_for(socket.wait_closed(), 15)
        assert socket.close_code == 1002
    (refused,) = await csms.arrived(EventKind.CONNECTION_REFUSED)
    assert refused["reason"].startswith("no common subprotocol")
    async with csms.station(OCPP16, offered=("ocpp0.1", OCPP16)) as station:
        await station.ready()
        assert (await csms.twin()).connectivity.dialect == OCPP16
