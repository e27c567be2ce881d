"""What holds for every message (OCPP-J 1.6 section 4, OCPP 2.x Part 4 section 4), beside the cases."""

import json
from typing import Any

import pytest

from csms.commands import AnswerStatus, Reset, ResetKind, TriggerKind, TriggerMessage
from tests.integration.conformance.station import Refused
from tests.integration.conformance.updates import signed_update
from tests.integration.conformance.wire import OCPP16, OCPP21, OCPP201

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("version", [OCPP16, OCPP201, OCPP21]),
]


async def test_one_call_at_a_time_and_the_other_direction_stays_free(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_hold("TriggerMessage")
        station.will_answer("Reset", status="Accepted")
        first = csms.sending(TriggerMessage(TriggerKind.HEARTBEAT))
        await station.heard("TriggerMessage")
        second = csms.sending(Reset(ResetKind.ON_IDLE))
        # Three round trips: time enough for a second call that would not wait its turn.
        for _ in range(3):
            await station.call("Heartbeat", {})
        assert station.asked == ["TriggerMessage"]
        await station.release("TriggerMessage", status="Accepted")
        assert (await first).status is AnswerStatus.ACCEPTED
        assert (await second).status is AnswerStatus.ACCEPTED


async def test_the_status_may_come_before_the_answer(csms: Any, version: str) -> None:
    action = "SignedUpdateFirmware" if version == OCPP16 else "UpdateFirmware"
    async with csms.station(version) as station:
        await station.ready()
        update = signed_update()
        station.will_hold(action)
        sending = csms.sending(update)
        await station.heard(action)
        await station.firmware("Downloading", update.request_id)
        await station.release(action, status="Accepted")
        assert (await sending).status is AnswerStatus.ACCEPTED
        assert await csms.trail() == [("Downloading", update.request_id)]


@pytest.mark.parametrize("code", ["NotImplemented", "NotSupported"])
async def test_what_a_station_cannot_do_is_an_answer(csms: Any, version: str, code: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_refuse("Reset", code)
        assert (await csms.send(Reset(ResetKind.ON_IDLE))).status is AnswerStatus.NOT_IMPLEMENTED
    assert await csms.answered("Reset") == [f"CallError:{code}"]


async def test_wrong_calls_are_refused_by_their_fault_and_the_socket_stays(csms: Any, version: str) -> None:
    wrong = {
        ("Frobnicate", "{}"): "NotImplemented",
        ("Heartbeat", '{"more":1}'): "FormationViolation" if version == OCPP16 else "FormatViolation",
        ("FirmwareStatusNotification", '{"status":1}'): "TypeConstraintViolation",
        ("FirmwareStatusNotification", '{"status":"Sleeping"}'): "PropertyConstraintViolation",
        ("FirmwareStatusNotification", "{}"): (
            "OccurenceConstraintViolation" if version == OCPP16 else "OccurrenceConstraintViolation"
        ),
    }
    async with csms.station(version) as station:
        await station.ready()
        for (action, payload), code in wrong.items():
            with pytest.raises(Refused) as refused:
                await station.call_wrongly(action, json.loads(payload))
            assert refused.value.code == code, (action, payload)
        assert "currentTime" in await station.call("Heartbeat", {})
