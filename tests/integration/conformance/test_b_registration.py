"""Block B: stations that are not, or not yet, accepted (B02, B03), and where they connect (B09)."""

from typing import Any

import pytest

from csms.access import NetworkProfile, SetNetworkProfile
from csms.commands import AnswerStatus, GetVariables, TriggerKind, TriggerMessage
from csms.errors import NotAccepted
from csms.registration import Registration
from storage.charger import Charger
from storage.events import EventKind
from tests.integration.conformance.station import Refused
from tests.integration.conformance.wire import OCPP21, OCPP201

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("version", [OCPP201, OCPP21])]


class Desk:
    """Somebody who decides on registrations."""

    def __init__(self, first: Registration) -> None:
        self.verdict = first

    async def __call__(self, _: Charger) -> Registration:
        return self.verdict


@pytest.fixture
async def desk(csms: Any, request: pytest.FixtureRequest) -> Desk:
    """The desk of a second node, ``csms.node`` from here on."""
    desk = Desk(request.param)
    await csms.start("node-2", registrar=desk)
    return desk


def first(*verdicts: Registration) -> Any:
    """What the desk says at first."""
    return pytest.mark.parametrize("desk", verdicts, indirect=True)


@pytest.mark.requirement("F35")
@first(Registration.PENDING)
async def test_tc_b_02_a_pending_station_is_set_up_and_then_accepted(
    csms: Any, version: str, desk: Desk
) -> None:
    name = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}}
    async with csms.station(version) as station:
        answer = await station.boot()
        assert answer["status"] == "Pending"
        assert answer["interval"] >= 0
        result = {**name, "attributeStatus": "Accepted", "attributeValue": "600"}
        station.will_answer("GetVariables", getVariableResult=[result])
        assert (await csms.send(GetVariables(("OCPPCommCtrlr.OfflineThreshold",)))).values
        desk.verdict = Registration.ACCEPTED
        await station.ready()
        assert (await csms.connectors())["1.1"] == "Available"


@pytest.mark.requirement("F35")
@first(Registration.PENDING, Registration.REJECTED)
async def test_tc_b_30_until_then_it_may_say_nothing(csms: Any, version: str, desk: Desk) -> None:
    async with csms.station(version) as station:
        assert (await station.boot())["status"] == desk.verdict.value
        with pytest.raises(Refused) as refused:
            await station.status("Available")
        assert refused.value.code == "SecurityError"
        assert (await csms.twin()).operation is None, "what may not be said is not believed"
        (rejected,) = await csms.events(EventKind.FRAME_REJECTED)
        assert (rejected["code"], rejected["action"]) == ("SecurityError", "StatusNotification")


@first(Registration.PENDING, Registration.REJECTED)
async def test_tc_b_31_it_may_be_asked_to_boot_again(csms: Any, version: str, desk: Desk) -> None:
    async with csms.station(version) as station:
        assert (await station.boot())["status"] == desk.verdict.value
        if desk.verdict is Registration.REJECTED:
            with pytest.raises(NotAccepted):
                await csms.send(GetVariables(("OCPPCommCtrlr.OfflineThreshold",)))
        desk.verdict = Registration.ACCEPTED
        station.will_answer("TriggerMessage", status="Accepted")
        assert (await csms.send(TriggerMessage(TriggerKind.BOOT))).status is AnswerStatus.ACCEPTED
        assert await station.heard("TriggerMessage") == {"requestedMessage": "BootNotification"}
        await station.ready("Triggered")
        assert await csms.connectors() == {"1.1": "Available", "2.1": "Available"}


@pytest.mark.parametrize(
    "answer",
    [pytest.param("Accepted", id="tc_b_42"), pytest.param("Failed", id="tc_b_44")],
)
async def test_tc_b_42_44_a_network_profile_is_set(csms: Any, version: str, answer: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer("SetNetworkProfile", status=answer)
        profile = NetworkProfile("wss://csms.example/ocpp", 2, "Wired0", 45)
        assert (await csms.send(SetNetworkProfile(2, profile))).status is AnswerStatus(answer)
        sent = await station.heard("SetNetworkProfile")
        assert sent["configurationSlot"] == 2
        connection = sent["connectionData"]
        # 2.1 leaves the version to the handshake.
        assert connection.pop("ocppVersion", None) == ("OCPP20" if version == OCPP201 else None)
        assert connection == {
            "messageTimeout": 45,
            "ocppCsmsUrl": "wss://csms.example/ocpp",
            "ocppInterface": "Wired0",
            "ocppTransport": "JSON",
            "securityProfile": 2,
        }
    assert await csms.answered("SetNetworkProfile") == [answer]
