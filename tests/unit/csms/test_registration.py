"""Who is not accepted may say and hear only what OCPP allows (2.x B01-B03)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from csms.commands import (
    CertificateSigned,
    Command,
    GetVariables,
    Reset,
    ResetKind,
    TriggerKind,
    TriggerMessage,
    UpdateFirmware,
)
from csms.errors import NotAccepted
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.monitoring import GetBaseReport
from csms.registration import Registration, Standing, by_lifecycle, caused_by
from storage.certificate_use import CertificateUse
from storage.charger import Charger
from storage.errors import EngineUnavailable
from storage.events import ChargerBooted, FrameRejected, HeartbeatReceived, SecurityEventReported
from storage.twin import Lifecycle

BOOT = {
    OCPP16: {"chargePointVendor": "V", "chargePointModel": "M"},
    OCPP201: {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}},
    OCPP21: {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}},
}
EVENT = {"type": "StartupOfTheDevice", "timestamp": "2026-11-20T12:00:00Z"}
REPORT = {"requestId": 0, "generatedAt": "2026-11-20T12:00:00Z", "seqNo": 0}


class Desk:
    """A provisioning desk that can change its mind."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self.asked = 0

    async def __call__(self) -> Registration:
        self.asked += 1
        return self.registration


@pytest.mark.parametrize("dialect", BOOT)
async def test_a_parked_charger_is_told_so_at_boot_and_refused_everything_else(
    make_world: Any, dialect: str
) -> None:
    world = await make_world(dialect)
    desk = Desk(Registration.PENDING)
    world.session.judged_by(desk)
    boots: list[None] = []
    world.session.on_boot = lambda: boots.append(None)
    booted = await world.socket.ask(2, "1", "BootNotification", BOOT[dialect])
    assert booted[2]["status"] == "Pending"
    assert booted[2]["interval"] == 60
    refused = await world.socket.ask(2, "2", "Heartbeat", {})
    assert refused[:3] == [4, "2", "SecurityError"]
    assert world.store.facts(HeartbeatReceived) == []
    assert world.store.facts(FrameRejected)[0].code == "SecurityError"
    assert len(world.store.facts(ChargerBooted)) == 1, "what it is, is known all the same"
    assert boots == [], "nothing is asked of it by itself"

    desk.registration = Registration.ACCEPTED
    booted = await world.socket.ask(2, "3", "BootNotification", BOOT[dialect])
    assert booted[2]["status"] == "Accepted"
    assert (await world.socket.ask(2, "4", "Heartbeat", {}))[0] == 3
    assert boots == [None]


@pytest.mark.parametrize("dialect", [OCPP201, OCPP21])
async def test_a_parked_charger_may_send_what_it_was_asked_for(make_world: Any, dialect: str) -> None:
    world = await make_world(dialect)
    world.session.judged_by(Desk(Registration.PENDING))
    await world.socket.ask(2, "1", "BootNotification", BOOT[dialect])
    assert (await world.socket.ask(2, "2", "NotifyReport", REPORT))[2] == "SecurityError"
    with pytest.raises(NotAccepted, match="UpdateFirmware"):
        await world.session.send(UpdateFirmware(1, "https://h/d/t", world.clock()), 5)
    await command_answered(world, GetBaseReport(0), {"status": "Accepted"})
    assert (await world.socket.ask(2, "3", "NotifyReport", REPORT))[0] == 3
    assert (await world.socket.ask(2, "4", "SecurityEventNotification", EVENT))[2] == "SecurityError"
    assert world.store.facts(SecurityEventReported) == []


async def test_a_charger_that_only_reconnects_is_judged_without_a_boot(make_world: Any) -> None:
    world = await make_world(OCPP201)
    desk = Desk(Registration.ACCEPTED)
    world.session.judged_by(desk)
    assert (await world.socket.ask(2, "1", "Heartbeat", {}))[0] == 3
    assert (await world.socket.ask(2, "2", "Heartbeat", {}))[0] == 3
    assert desk.asked == 1


async def test_a_rejected_charger_hears_nothing_but_the_wish_that_it_boots(make_world: Any) -> None:
    world = await make_world(OCPP201)
    world.session.judged_by(Desk(Registration.REJECTED))
    booted = await world.socket.ask(2, "1", "BootNotification", BOOT[OCPP201])
    assert booted[2]["status"] == "Rejected"
    with pytest.raises(NotAccepted, match=r"CP-1.*Reset"):
        await world.session.send(Reset(ResetKind.ON_IDLE), 5)
    assert world.socket.unheard == 0
    await command_answered(world, TriggerMessage(TriggerKind.BOOT), {"status": "Accepted"})
    assert (await world.socket.ask(2, "2", "Heartbeat", {}))[2] == "SecurityError"


@pytest.mark.parametrize(
    ("lifecycle", "registration"),
    [
        (Lifecycle.REGISTERED, Registration.ACCEPTED),
        (Lifecycle.ACTIVE, Registration.ACCEPTED),
        (Lifecycle.QUARANTINED, Registration.REJECTED),
        (Lifecycle.RETIRED, Registration.REJECTED),
    ],
)
async def test_the_lifecycle_decides_unless_somebody_else_does(
    lifecycle: Lifecycle, registration: Registration
) -> None:
    charger = Charger("CP-1", "site", "V", "M")
    assert await by_lifecycle(replace(charger, lifecycle=lifecycle)) is registration


def test_a_trigger_allows_the_messages_that_it_causes() -> None:
    signing = TriggerMessage(TriggerKind.SIGN_CHARGING_STATION)
    assert caused_by(signing) == {"SignCertificate"}
    assert caused_by(TriggerMessage(TriggerKind.STATUS)) == {"StatusNotification"}
    assert "SignedFirmwareStatusNotification" in caused_by(TriggerMessage(TriggerKind.FIRMWARE_STATUS))
    assert caused_by(GetVariables()) == {"NotifyReport"}
    assert caused_by(GetVariables(("A.B",))) == caused_by(Reset(ResetKind.ON_IDLE)) == frozenset()


async def command_answered(world: Any, command: Any, answer: dict[str, Any]) -> None:
    """Send a command that the charger answers."""
    sending = asyncio.create_task(world.session.send(command, 5))
    sent = await world.socket.hear()
    world.socket.say(3, sent[1], answer)
    await sending


@pytest.mark.parametrize(
    ("action", "payload"),
    [("BootNotification", BOOT[OCPP16]), ("Heartbeat", {})],
)
async def test_while_nobody_can_be_asked_the_charger_waits_and_keeps_its_socket(
    make_world: Any, monkeypatch: pytest.MonkeyPatch, action: str, payload: dict[str, str]
) -> None:
    monkeypatch.setattr("csms.inbound._RETRY_S", 0)
    world = await make_world()
    asked = 0

    async def away_at_first() -> Registration:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise EngineUnavailable("the store is away")
        return Registration.ACCEPTED

    world.session.judged_by(away_at_first)
    world.socket.say(2, "1", action, payload)
    world.socket.say(2, "2", "Heartbeat", {})
    assert [(await world.socket.hear())[:2] for _ in range(2)] == [[3, "1"], [3, "2"]]
    assert world.socket.closed is None


@pytest.mark.requirement("S58")
@pytest.mark.parametrize("desk", [Registration.ACCEPTED, Registration.PENDING, Registration.REJECTED])
async def test_who_is_here_for_a_new_certificate_stays_so_whatever_the_desk_says(desk: Registration) -> None:
    standing = Standing(Desk(desk), confined=True)
    for booted in (False, True):
        rejected = booted and desk is Registration.REJECTED
        sign = TriggerMessage(TriggerKind.SIGN_CHARGING_STATION)
        assert standing.may_hear(sign) is not rejected
        assert standing.may_hear(CertificateSigned("chain")) is not rejected
        forbidden: tuple[Command, ...] = (
            CertificateSigned("chain", CertificateUse.V2G),
            TriggerMessage(TriggerKind.SIGN_V2G),
            TriggerMessage(TriggerKind.STATUS),
            GetVariables(),
            Reset(ResetKind.ON_IDLE),
        )
        assert not any(map(standing.may_hear, forbidden))
        assert not standing.accepted
        assert (await standing.refusal("SignCertificate") is None) is not rejected
        assert await standing.refusal("StartTransaction")
        assert await standing.at_boot() is (desk if rejected or desk is Registration.REJECTED else PARKED)


PARKED = Registration.PENDING
