"""Block B: boot (B01), reset (B11, B12), device model (B05 to B07) and network profile (B09)."""

from typing import Any

import pytest

from csms.commands import AnswerStatus, GetVariables, Reset, ResetKind
from storage.events import EventKind
from tests.integration.conformance.station import now
from tests.integration.conformance.wire import OCPP21, OCPP201

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("version", [OCPP201, OCPP21])]

THRESHOLD = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}}
REMOTE_START = {"component": {"name": "AuthCtrlr"}, "variable": {"name": "AuthorizeRemoteStart"}}


@pytest.mark.requirement("F69", "F73")
async def test_tc_b_01_a_known_station_boots(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        twin = await csms.twin()
        assert (twin.identity.vendor, twin.identity.model, twin.identity.serial_number) == ("V", "M", "SN-1")
        assert (twin.firmware.version, twin.connectivity.online) == ("1.0", True)
        assert len(twin.firmware.boots) == 1
        assert await csms.connectors() == {"1.1": "Available", "2.1": "Available"}
        assert await csms.busy() is None


async def test_tc_b_06_one_variable_is_read(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        result = {**THRESHOLD, "attributeStatus": "Accepted", "attributeValue": "600"}
        station.will_answer("GetVariables", getVariableResult=[result])
        answer = await csms.send(GetVariables(("OCPPCommCtrlr.OfflineThreshold",)))
        assert answer.values == (("OCPPCommCtrlr.OfflineThreshold", "600"),)
        (asked,) = (await station.heard("GetVariables"))["getVariableData"]
        assert asked.pop("attributeType", "Actual") == "Actual"
        assert asked == THRESHOLD
        assert (await csms.twin()).configuration.values["OCPPCommCtrlr.OfflineThreshold"] == "600"


async def test_tc_b_07_several_variables_are_read(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer(
            "GetVariables",
            getVariableResult=[
                {**THRESHOLD, "attributeStatus": "Accepted", "attributeValue": "600"},
                {**REMOTE_START, "attributeStatus": "UnknownVariable"},
            ],
        )
        names = ("OCPPCommCtrlr.OfflineThreshold", "AuthCtrlr.AuthorizeRemoteStart")
        answer = await csms.send(GetVariables(names))
        asked = (await station.heard("GetVariables"))["getVariableData"]
        found = [{key: one[key] for key in ("component", "variable")} for one in asked]
        assert found == [THRESHOLD, REMOTE_START]
        assert answer.values == ((names[0], "600"),)
        assert names[1] in answer.detail, "what was not read is named"


@pytest.mark.requirement("F77")
async def test_tc_b_13_a_full_inventory_comes_in_parts(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer("GetBaseReport", status="Accepted")
        assert (await csms.send(GetVariables())).status is AnswerStatus.ACCEPTED
        asked = await station.heard("GetBaseReport")
        assert asked["reportBase"] == "FullInventory"
        assert asked["requestId"] >= 0
        await report(station, asked["requestId"], {"600": THRESHOLD}, {"false": REMOTE_START})
        assert (await csms.twin()).configuration.values == {
            "OCPPCommCtrlr.OfflineThreshold": "600",
            "AuthCtrlr.AuthorizeRemoteStart": "false",
        }
        parts = [body["complete"] for body in await csms.events(EventKind.VARIABLES_REPORTED)]
        assert parts == [False, True]


async def report(station: Any, request_id: int, *parts: dict[str, Any]) -> None:
    """A report in parts, each a few values of variables."""
    for number, part in enumerate(parts):
        data = [{**name, "variableAttribute": [{"value": value}]} for value, name in part.items()]
        payload = {"requestId": request_id, "generatedAt": now(), "seqNo": number, "reportData": data}
        more = number < len(parts) - 1
        await station.told("NotifyReport", {**payload, **({"tbc": True} if more else {})})


async def reset(csms: Any, station: Any, kind: ResetKind, answer: AnswerStatus) -> dict[str, Any]:
    """Reset the station, which gives this answer; what was sent."""
    station.will_answer("Reset", status=answer.value)
    assert (await csms.send(Reset(kind))).status is answer
    sent: dict[str, Any] = await station.heard("Reset")
    assert sent == {"type": kind.value}
    return sent


async def test_tc_b_20_an_idle_station_is_reset(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await reset(csms, station, ResetKind.ON_IDLE, AnswerStatus.ACCEPTED)
    async with csms.station(version) as station:
        await station.ready("RemoteReset")
        assert len((await csms.twin()).firmware.boots) == 2


async def test_tc_b_21_a_reset_waits_for_the_session(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await station.start()
        await reset(csms, station, ResetKind.ON_IDLE, AnswerStatus.SCHEDULED)
        assert await csms.busy() == "session T-1 is open on EVSE 1"
        await station.stop()
        assert await csms.busy() is None
        await station.ready("ScheduledReset")
    assert await csms.answered("Reset") == ["Scheduled"]


async def test_tc_b_22_a_reset_ends_the_session(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await station.start()
        await reset(csms, station, ResetKind.IMMEDIATE, AnswerStatus.ACCEPTED)
        await station.transaction("Ended", "ResetCommand", "EVConnected", stopped="ImmediateReset")
        assert (await station.boot("RemoteReset"))["status"] == "Accepted"
        await station.status("Occupied", 1)
        await station.status("Available", 2)
        (ended,) = await csms.events(EventKind.TRANSACTION_ENDED)
        assert (ended["transaction_id"], ended["reason"]) == ("T-1", "ImmediateReset")
        assert await csms.busy() == "connector 1.1 is Occupied", "the car is still there"
