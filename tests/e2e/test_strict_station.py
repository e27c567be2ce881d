"""Conformance cases whose subject is the rollout, with a strict station against the whole stack."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from api.cli.errors import Refused
from api.webhook_signature import signature
from tests.e2e.outsiders import Make
from tests.integration.conformance.station import connected
from tests.integration.conformance.wire import OCPP16, OCPP21, OCPP201, Framing
from tests.integration.csms.conftest import basic
from tests.support.receiver import receiving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MODELS = {OCPP16: "S16", OCPP201: "S201", OCPP21: "S21"}
PLAIN, MAPPED, TWICE, SPOILT = "", "-map", "-twice", "-spoilt"
"""A station of its own for each story: one that ran a version and comes with an older one is doubted."""
ALL = [f"{model}{story}" for model in MODELS.values() for story in (PLAIN, MAPPED, TWICE, SPOILT)]
MAKE = Make("Strict Stations", "strict-yard", dict.fromkeys(ALL, "ecdsa-p256-sha256"))
IMAGE, NEW = b"strictly speaking, an image", "9.0"
ASKED_AFTER_A_BOOT = frozenset({"GetConfiguration", "GetVariables", "TriggerMessage"})
"""What a node asks of itself, some seconds after a boot, to learn what a station can do."""
FETCHED = ("Downloading", "Downloaded", "SignatureVerified")


class Yard:
    """Where these stations stand."""

    def __init__(self, stack: Any, passwords: dict[str, str], artifact_id: str) -> None:
        self.stack = stack
        self.artifact_id = artifact_id
        self._passwords = passwords
        self._framings = {version: Framing(version) for version in MODELS}

    @asynccontextmanager
    async def station(self, version: str, story: str = PLAIN) -> AsyncIterator[Any]:
        """One of them, connected."""
        model = MODELS[version] + story
        identity = MAKE.charger_id(model)
        url = f"ws://127.0.0.1:{self.stack.settings.csms_port}/ocpp/{identity}"
        login = basic(identity, self._passwords[model])
        async with connected(url, self._framings[version], login) as station:
            station.lacks = ASKED_AFTER_A_BOOT
            # What it says of itself is held against our books, in the step that sends (S26).
            station.vendor, station.model, station.serial = MAKE.vendor, model, identity[:25]
            yield station

    async def roll_out(self, version: str, artifact_id: str | None = None, story: str = PLAIN) -> str:
        """A campaign for the station of this version; its id."""
        return await MAKE.roll_out(self.stack, artifact_id or self.artifact_id, MODELS[version] + story)

    async def only_target(self, campaign_id: str) -> dict[str, Any]:
        """The one target that a campaign has."""
        (target,) = await self.stack.targets(campaign_id)
        return dict(target)


@pytest.fixture(scope="module")
async def yard(stack: Any) -> Yard:
    return Yard(stack, await MAKE.register(stack), await MAKE.release(stack, IMAGE, NEW))


async def taken_out_of_service(station: Any) -> None:
    """The rollout takes the whole station out of service before it sends an update."""
    await station.heard("ChangeAvailability")
    await station.everywhere("Unavailable")


def update_of(station: Any) -> str:
    """The message that an update comes in."""
    return "SignedUpdateFirmware" if station.version == OCPP16 else "UpdateFirmware"


@pytest.mark.requirement("X1", "R28")
@pytest.mark.parametrize("version", [OCPP201, OCPP21])
async def test_tc_l_13_a_rollout_waits_for_the_session_and_then_updates(yard: Yard, version: str) -> None:
    async with yard.station(version) as station:
        await station.ready()
        await station.start()
        campaign_id = await yard.roll_out(version)
        await yard.stack.until_targets(campaign_id, lambda found: found[0]["phase"] == "waiting")
        assert "session T-1 is open" in (await yard.only_target(campaign_id))["reason"]
        assert not station.asked, "nothing is sent into a session"
        station.will_answer("ChangeAvailability", status="Accepted")
        station.will_answer("UpdateFirmware", status="Accepted")
        await station.stop()
        await taken_out_of_service(station)
        request_id = (await station.heard("UpdateFirmware"))["requestId"]
        await station.progress(request_id, *FETCHED, "Installing", "InstallRebooting")
        station.will_answer("ChangeAvailability", status="Accepted")
        await station.ready("FirmwareUpdate", NEW)
        await station.firmware("Installed", request_id)
        campaign = await yard.stack.until_ended(campaign_id)
        assert campaign["phase"] == "completed", campaign["reason"]
        target = await yard.only_target(campaign_id)
        assert (target["outcome"], target["deferred_for_session"]) == ("updated", True)


@pytest.mark.requirement("X15", "F80")
async def test_a_map_is_told_before_a_station_is_drained_and_when_it_is_back(yard: Yard) -> None:
    order: list[str] = []
    async with receiving() as receiver, yard.station(OCPP201, MAPPED) as station:
        url = f"http://127.0.0.1:{receiver.port}/"
        kinds = ["charger.maintenance_planned", "charger.maintenance_ended"]
        hook = {"webhook_id": "maps", "url": url, "kinds": kinds}
        secret = (await asyncio.to_thread(yard.stack.people.admin.post, "/webhooks", hook))["secret"]
        receiver.heard = lambda body: order.append(json.loads(body)["type"])
        await station.ready(version="7.0")
        station.will_answer("ChangeAvailability", status="Accepted")
        station.will_answer("UpdateFirmware", status="Accepted")
        campaign_id = await yard.roll_out(OCPP201, story=MAPPED)
        await taken_out_of_service(station)
        drained_at = datetime.now(UTC)
        request_id = (await station.heard("UpdateFirmware"))["requestId"]
        await station.progress(request_id, *FETCHED, "Installing", "InstallRebooting")
        station.will_answer("ChangeAvailability", status="Accepted")
        await station.ready("FirmwareUpdate", NEW)
        await station.firmware("Installed", request_id)
        await yard.stack.until_ended(campaign_id)
        async with asyncio.timeout(30):
            await receiver.has(2)
    await asyncio.to_thread(yard.stack.people.admin.delete, "/webhooks/maps")
    assert [each.rsplit("_", 1)[1] for each in order] == ["planned", "ended"]
    planned, ended = (json.loads(body) for body in receiver.bodies)
    assert datetime.fromisoformat(planned["time"]) < drained_at
    assert (planned["data"]["ocpi_status"], ended["data"]["outcome"]) == ("INOPERATIVE", "updated")
    fields = dict(line.split(": ", 1) for line in receiver.heads[0].split("\r\n")[1:] if line)
    fields = {name.lower(): value for name, value in fields.items()}
    at = datetime.fromtimestamp(int(fields["webhook-timestamp"]), UTC)
    assert fields["webhook-signature"] == signature(secret, fields["webhook-id"], at, receiver.bodies[0])


async def test_tc_l_10_a_second_rollout_waits_for_the_first(yard: Yard) -> None:
    # The station could cancel (L01.FR.24); a rollout never makes it: one maintenance of a charger at a time.
    newest = "9.1"
    other = await MAKE.release(yard.stack, IMAGE + b", again", newest)
    async with yard.station(OCPP21, TWICE) as station:
        await station.ready(version="8.0")
        for _ in range(4):
            station.will_answer("ChangeAvailability", status="Accepted")
        for _ in range(2):
            station.will_answer("UpdateFirmware", status="Accepted")
        first = await yard.roll_out(OCPP21, story=TWICE)
        await taken_out_of_service(station)
        request_id = (await station.heard("UpdateFirmware"))["requestId"]
        await station.firmware("Downloading", request_id)
        second = await yard.roll_out(OCPP21, other, TWICE)
        await yard.stack.until_targets(second, lambda found: found[0]["phase"] == "waiting")
        assert station.asked.count("UpdateFirmware") == 1
        await station.progress(request_id, *FETCHED[1:], "Installing", "InstallRebooting")
        await station.ready("FirmwareUpdate", NEW)
        await station.firmware("Installed", request_id)
        assert (await yard.stack.until_ended(first))["phase"] == "completed"
        later = (await station.heard("UpdateFirmware"))["requestId"]
        assert later != request_id
        await station.progress(later, *FETCHED, "Installing", "InstallRebooting")
        await station.ready("FirmwareUpdate", newest)
        await station.firmware("Installed", later)
        campaign = await yard.stack.until_ended(second)
        assert campaign["phase"] == "completed", campaign["reason"]
        assert await outcomes(yard, first, second) == ["updated", "updated"]


async def outcomes(yard: Yard, *campaign_ids: str) -> list[str]:
    """What became of the station in each campaign."""
    return [(await yard.only_target(each))["outcome"] for each in campaign_ids]


@pytest.mark.requirement("S38")
@pytest.mark.parametrize("version", [pytest.param(OCPP16, id="tc_081"), pytest.param(OCPP201, id="tc_l_06")])
async def test_tc_l_06_tc_081_a_signature_that_does_not_hold_stops_the_rollout(
    yard: Yard, version: str
) -> None:
    doomed = await MAKE.release(yard.stack, IMAGE + version.encode(), f"9.2-{version}")
    async with yard.station(version, SPOILT) as station:
        # It is known to take signed updates, and runs another version than before.
        await station.security_event("StartupOfTheDevice")
        await station.ready(version="8.0")
        station.will_answer("ChangeAvailability", status="Accepted")
        station.will_answer(update_of(station), status="Accepted")
        campaign_id = await yard.roll_out(version, doomed, SPOILT)
        await taken_out_of_service(station)
        request_id = (await station.heard(update_of(station)))["requestId"]
        station.will_answer("ChangeAvailability", status="Accepted")
        await station.progress(request_id, "Downloading", "Downloaded", "InvalidSignature")
        await station.security_event("InvalidFirmwareSignature")
        campaign = await yard.stack.until_ended(campaign_id)
        assert campaign["phase"] == "aborted", campaign["reason"]
        target = await yard.only_target(campaign_id)
        assert target["outcome"] == "failed"
        assert "InvalidSignature" in target["reason"]
        async with asyncio.timeout(30):
            assert await station.heard("ChangeAvailability"), "it goes back into service"
    with pytest.raises(Refused, match="breaks rules"):
        await yard.roll_out(version, doomed, SPOILT)  # Nor does another campaign bring it to anybody.
