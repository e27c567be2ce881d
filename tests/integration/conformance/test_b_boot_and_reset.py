"""Block B: boot (B01), reset (B11, B12), device model (B05 to B07) and network profile (B09)."""

from typing import Any

import pytest

from csms.commands import AnswerStatus, GetVariables, Reset, ResetKind, SetVariables, VariableValue
from csms.monitoring import GetBaseReport, ReportBase
from storage.events import EventKind
from tests.integration.conformance.station import now
from tests.integration.conformance.wire import OCPP21, OCPP201

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("version", [OCPP201, OCPP21])]

THRESHOLD = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}}
OFFLINE, REMOTE = "OCPPCommCtrlr.OfflineThreshold", "AuthCtrlr.AuthorizeRemoteStart"
REMOTE_START = {"component": {"name": "AuthCtrlr"}, "variable": {"name": "AuthorizeRemoteStart"}}


@pytest.mark.requirement("F58", "F69")
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
        answer = await csms.send(GetVariables((OFFLINE,)))
        assert answer.values == ((OFFLINE, "600"),)
        (asked,) = (await station.heard("GetVariables"))["getVariableData"]
        assert asked.pop("attributeType", "Actual") == "Actual"
        assert asked == THRESHOLD
        assert (await csms.twin()).configuration.values[OFFLINE] == "600"


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
        names = (OFFLINE, REMOTE)
        answer = await csms.send(GetVariables(names))
        asked = (await station.heard("GetVariables"))["getVariableData"]
        found = [{key: one[key] for key in ("component", "variable")} for one in asked]
        assert found == [THRESHOLD, REMOTE_START]
        assert answer.values == ((names[0], "600"),)
        assert names[1] in answer.detail, "what was not read is named"


async def test_tc_b_09_one_variable_is_set(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer("SetVariables", setVariableResult=[{**THRESHOLD, "attributeStatus": "Accepted"}])
        assert (
            await csms.send(SetVariables((VariableValue(OFFLINE, "123"),)))
        ).status is AnswerStatus.ACCEPTED
        (sent,) = (await station.heard("SetVariables"))["setVariableData"]
        assert sent.pop("attributeType", "Actual") == "Actual"
        assert sent == {**THRESHOLD, "attributeValue": "123"}


async def test_tc_b_10_several_variables_are_set(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer(
            "SetVariables",
            setVariableResult=[
                {**THRESHOLD, "attributeStatus": "Accepted"},
                {**REMOTE_START, "attributeStatus": "RebootRequired"},
            ],
        )
        answer = await csms.send(
            SetVariables((VariableValue(OFFLINE, "123"), VariableValue(REMOTE, "false")))
        )
        sent = (await station.heard("SetVariables"))["setVariableData"]
        assert [each["attributeValue"] for each in sent] == ["123", "false"]
        found = [{key: one[key] for key in ("component", "variable")} for one in sent]
        assert found == [THRESHOLD, REMOTE_START]
        assert answer.status is AnswerStatus.REBOOT_REQUIRED
        statuses = [(item.name, item.status) for item in answer.items]
        assert statuses == [(OFFLINE, AnswerStatus.ACCEPTED), (REMOTE, AnswerStatus.REBOOT_REQUIRED)]


@pytest.mark.parametrize(
    "base",
    [
        pytest.param(ReportBase.CONFIGURATION, id="tc_b_12"),
        pytest.param(ReportBase.FULL, id="tc_b_13"),
        pytest.param(ReportBase.SUMMARY, id="tc_b_14"),
    ],
)
async def test_tc_b_12_13_14_an_inventory_comes_in_parts(csms: Any, version: str, base: ReportBase) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer("GetBaseReport", status="Accepted")
        assert (await csms.send(GetBaseReport(0, base))).status is AnswerStatus.ACCEPTED
        assert await station.heard("GetBaseReport") == {"requestId": 0, "reportBase": base.value}
        await report(station, 0, {"600": THRESHOLD}, {"false": REMOTE_START})
        assert (await csms.twin()).configuration.values == {OFFLINE: "600", REMOTE: "false"}
        parts = [body["complete"] for body in await csms.events(EventKind.VARIABLES_REPORTED)]
        assert parts == [False, True]


async def report(station: Any, request_id: int, *parts: dict[str, Any]) -> None:
    """A report in parts, each a few values of variables."""
    for number, part in enumerate(parts):
        data = [{**name, "variableAttribute": [{"value": value}]} for value, name in part.items()]
        payload = {"requestId": request_id, "generatedAt": now(), "seqNo": number, "reportData": data}
        more = number < len(parts) - 1
        await station.told("NotifyReport", {**payload, **({"tbc": True} if more else {})})


async def reset(
    csms: Any, station: Any, kind: ResetKind, answer: AnswerStatus, evse: int | None = None
) -> None:
    """Reset the station or one EVSE, to which it gives this answer."""
    station.will_answer("Reset", status=answer.value)
    assert (await csms.send(Reset(kind, evse))).status is answer
    place = {} if evse is None else {"evseId": evse}
    assert await station.heard("Reset") == {"type": kind.value, **place}


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


async def test_tc_b_25_an_idle_evse_is_reset(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await reset(csms, station, ResetKind.ON_IDLE, AnswerStatus.ACCEPTED, 1)
    assert await csms.answered("Reset") == ["Accepted"]


async def test_tc_b_26_the_reset_of_an_evse_waits_for_its_session(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await station.start()
        await reset(csms, station, ResetKind.ON_IDLE, AnswerStatus.SCHEDULED, 1)
        assert await csms.busy() == "session T-1 is open on EVSE 1"
        await station.stop()
        assert await csms.busy() is None
        assert len((await csms.twin()).firmware.boots) == 1, "the station itself did not restart"


async def test_tc_b_27_the_reset_of_an_evse_ends_its_session(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await station.start()
        await reset(csms, station, ResetKind.IMMEDIATE, AnswerStatus.ACCEPTED, 1)
        await station.transaction("Ended", "ResetCommand", "EVConnected", stopped="ImmediateReset")
        (ended,) = await csms.events(EventKind.TRANSACTION_ENDED)
        assert (ended["transaction_id"], ended["reason"]) == ("T-1", "ImmediateReset")
