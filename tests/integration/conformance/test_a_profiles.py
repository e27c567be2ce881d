"""A new password (A01; TC_A_09, TC_A_10, 1.6: TC_073) and a higher profile (A05; TC_A_19, 1.6: TC_083)."""

from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from csms.access import NetworkProfile, SetNetworkProfile
from csms.commands import AnswerStatus, Reset, ResetKind, SetVariables, VariableValue
from storage.credentials import PendingFate
from storage.events import EventKind
from tests.integration.conformance.secure import Secured, secured
from tests.integration.conformance.station import CHARGER, PASSWORD
from tests.integration.conformance.wire import OCPP16, OCPP21, OCPP201

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F41")]

V2 = pytest.mark.parametrize("version", [OCPP201, OCPP21])
BASIC = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
PRIORITY = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}


async def changed(csms: Any, station: Any, answer: str) -> str:
    """Give the station a new password, to which it says this; the password."""
    station.will_answer("SetVariables", setVariableResult=[{**BASIC, "attributeStatus": answer}])
    change = await csms.change_password()
    assert change.fate is (PendingFate.PROMOTE if answer == "Accepted" else PendingFate.DROP)
    (sent,) = (await station.heard("SetVariables"))["setVariableData"]
    assert {key: sent[key] for key in ("component", "variable")} == BASIC
    # A00.FR.205
    assert 16 <= len(sent["attributeValue"]) <= 40
    return str(sent["attributeValue"])


async def opens(csms: Any, version: str, password: str | bytes) -> None:
    """This password lets the station in."""
    async with csms.station(version, password=password) as station:
        await station.ready()


async def opens_nothing(csms: Any, version: str, password: str) -> None:
    """This one does not."""
    with pytest.raises(InvalidStatus) as refused:
        async with csms.station(version, password=password):
            pass
    assert refused.value.response.status_code == 401


async def is_nowhere(csms: Any, password: str) -> None:
    """A01.FR.08, A01.FR.09: no record holds it."""
    assert password not in str(await csms.journal())
    assert password not in str(await csms.place.events.timeline(CHARGER))


@V2
async def test_tc_a_09_a_new_password_is_accepted(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        new = await changed(csms, station, "Accepted")
    await opens(csms, version, new)
    await opens_nothing(csms, version, PASSWORD)
    await is_nowhere(csms, new)


@V2
async def test_tc_a_10_a_new_password_is_rejected(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        new = await changed(csms, station, "Rejected")
    await opens(csms, version, PASSWORD)
    await opens_nothing(csms, version, new)
    await is_nowhere(csms, new)


@pytest.mark.parametrize("form", ["bytes", "hex"])
async def test_tc_073_a_new_key_is_accepted(csms: Any, form: str) -> None:
    async with csms.station(OCPP16) as station:
        await station.ready()
        station.will_answer("ChangeConfiguration", status="Accepted")
        assert (await csms.change_password()).fate is PendingFate.PROMOTE
        sent = await station.heard("ChangeConfiguration")
        assert sent["key"] == "AuthorizationKey"
        # 16 to 20 bytes as hexadecimal digits; chargers send either these or the bytes.
        key = bytes.fromhex(sent["value"])
        assert 16 <= len(key) <= 20
    await opens(csms, OCPP16, key if form == "bytes" else sent["value"])
    await opens_nothing(csms, OCPP16, PASSWORD)
    await is_nowhere(csms, sent["value"])


def way_of(tls: Secured, profile: int) -> dict[str, Any]:
    """How a station connects with a profile."""
    if profile == 1:
        return {}
    if profile == 2:
        return {"ssl": tls.context()}
    return {"ssl": tls.context(tls.stations.client(tls.folder)), "password": None}


async def never_lower(csms: Any, version: str, tls: Secured, profile: int) -> None:
    """Comes back with this profile, and may not go back to the one below it (A05.FR.07)."""
    async with csms.station(version, **way_of(tls, profile)) as station:
        await station.ready("RemoteReset")
        security = (await csms.twin()).security
        assert (security.profile, security.floor) == (profile, profile)
    with pytest.raises(InvalidStatus) as refused:
        async with csms.station(version, **way_of(tls, profile - 1)):
            pass
    assert refused.value.response.status_code == 403
    (event,) = await csms.arrived(EventKind.CONNECTION_REFUSED)
    assert "floor" in event["reason"]
    async with csms.station(version, **way_of(tls, profile)) as station:
        await station.ready()


HIGHER = pytest.mark.parametrize("profile", [2, 3])


@pytest.mark.requirement("S61")
@V2
@HIGHER
async def test_tc_a_19_a_higher_profile_is_for_good(
    csms: Any, version: str, profile: int, tmp_path: Path
) -> None:
    tls = await secured(csms, tmp_path)
    url = f"wss://127.0.0.1:{csms.node.ports[-1]}/ocpp"
    async with csms.station(version, **way_of(tls, profile - 1)) as station:
        await station.ready()
        station.will_answer("SetNetworkProfile", status="Accepted")
        station.will_answer("SetVariables", setVariableResult=[{**PRIORITY, "attributeStatus": "Accepted"}])
        station.will_answer("Reset", status="Accepted")
        wanted = SetNetworkProfile(2, NetworkProfile(url, profile))
        assert (await csms.send(wanted)).status is AnswerStatus.ACCEPTED
        priority = VariableValue("OCPPCommCtrlr.NetworkConfigurationPriority", "2,1")
        assert (await csms.send(SetVariables((priority,)))).status is AnswerStatus.ACCEPTED
        assert (await csms.send(Reset(ResetKind.ON_IDLE))).status is AnswerStatus.ACCEPTED
        connection = (await station.heard("SetNetworkProfile"))["connectionData"]
        assert (connection["ocppCsmsUrl"], connection["securityProfile"]) == (url, profile)
        (sent,) = (await station.heard("SetVariables"))["setVariableData"]
        assert sent == {**PRIORITY, "attributeValue": "2,1"}
    await never_lower(csms, version, tls, profile)


@pytest.mark.requirement("S61")
@HIGHER
async def test_tc_083_a_higher_profile_is_for_good(csms: Any, profile: int, tmp_path: Path) -> None:
    tls = await secured(csms, tmp_path)
    async with csms.station(OCPP16, **way_of(tls, profile - 1)) as station:
        await station.ready()
        station.will_answer("ChangeConfiguration", status="Accepted")
        station.will_answer("Reset", status="Accepted")
        wanted = SetVariables((VariableValue("SecurityProfile", str(profile)),))
        assert (await csms.send(wanted)).status is AnswerStatus.ACCEPTED
        assert (await csms.send(Reset(ResetKind.IMMEDIATE))).status is AnswerStatus.ACCEPTED
        sent = await station.heard("ChangeConfiguration")
        assert sent == {"key": "SecurityProfile", "value": str(profile)}
        assert await station.heard("Reset") == {"type": "Hard"}
    await never_lower(csms, OCPP16, tls, profile)
