"""What a node asks after a boot, and when it need not."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from csms.commands import AnswerStatus, ChangeAvailability, CommandAnswer
from csms.frames import OCPP16
from csms.probing import agreed_to_return, ask_after_boot, ask_after_return
from storage.charger import Charger
from storage.events import ConnectorStatus
from storage.ports import ChargerView
from tests.support.memory_glances import MemoryGlances


@dataclass(frozen=True)
class Chargers(MemoryGlances):
    """What the node reads back: the twin as the session left it."""

    world: Any

    async def get(self, charger_id: str) -> ChargerView:
        return ChargerView(Charger(charger_id, "site", "V", "M"), self.world.twin)

    async def model(self, vendor: str, model: str) -> None:
        return None


async def told(world: Any, *statuses: str) -> None:
    for connector, status in enumerate(statuses):
        payload = {"connectorId": connector, "errorCode": "NoError", "status": status}
        await world.socket.ask(2, f"s{connector}", "StatusNotification", payload)
    await world.session.settled()


async def past_capabilities(world: Any) -> asyncio.Task[None]:
    asking = asyncio.create_task(ask_after_boot(world.session, Chargers(world), 0, 5))  # type: ignore[arg-type]
    probe = await world.socket.hear()
    assert probe[2] == "GetConfiguration"
    world.socket.say(3, probe[1], {"unknownKey": ["SecurityProfile"]})
    return asking


@pytest.mark.parametrize(
    "statuses",
    [
        (),
        ("Available",),  # the charger as a whole, and no connector
        ("Unavailable", "Unavailable", "Unavailable"),  # in service again, and silent about it (Open OCPP)
        ("Available", "Available", "Unavailable"),
    ],
)
async def test_a_charger_that_told_nothing_or_nothing_good_is_asked(
    make_world: Any, statuses: tuple[str, ...]
) -> None:
    world = await make_world(OCPP16)
    await told(world, *statuses)
    asking = await past_capabilities(world)
    trigger = await world.socket.hear()
    assert trigger[2:] == ["TriggerMessage", {"requestedMessage": "StatusNotification"}]
    world.socket.say(3, trigger[1], {"status": "Accepted"})
    await asking
    await told(world, "Available", "Available", "Available")
    connectors = world.twin.operation.connectors.values()
    assert {each.status for each in connectors} == {ConnectorStatus.AVAILABLE}


async def test_a_charger_that_told_is_left_alone(make_world: Any) -> None:
    world = await make_world(OCPP16)
    await told(world, "Available", "Charging", "Faulted")
    await (await past_capabilities(world))
    assert [text for text in world.store.journal("out") if "TriggerMessage" in str(text)] == []


async def put_back(world: Any) -> None:
    sending = asyncio.create_task(world.session.send(ChangeAvailability(operative=True), 5))
    call = await world.socket.hear()
    assert call[2:] == ["ChangeAvailability", {"connectorId": 0, "type": "Operative"}]
    world.socket.say(3, call[1], {"status": "Accepted"})
    assert agreed_to_return(ChangeAvailability(operative=True), await sending)
    await world.session.settled()


@pytest.mark.requirement("X3")
async def test_one_that_is_put_back_and_tells_it_is_left_alone(make_world: Any) -> None:
    """Of connector 0 it need not tell: it agreed."""
    world = await make_world(OCPP16)
    await told(world, "Unavailable", "Unavailable")
    await put_back(world)
    await world.socket.ask(
        2, "up", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    )
    await ask_after_return(world.session, Chargers(world), 0, 5)  # type: ignore[arg-type]
    assert {each.status for each in world.twin.operation.connectors.values()} == {ConnectorStatus.AVAILABLE}
    assert world.socket.unheard == 0


@pytest.mark.requirement("X3")
async def test_one_that_is_put_back_and_says_nothing_is_asked(make_world: Any) -> None:
    world = await make_world(OCPP16)
    await told(world, "Unavailable", "Unavailable")
    await put_back(world)
    asking = asyncio.create_task(ask_after_return(world.session, Chargers(world), 0, 5))  # type: ignore[arg-type]
    trigger = await world.socket.hear()
    assert trigger[2:] == ["TriggerMessage", {"requestedMessage": "StatusNotification"}]
    world.socket.say(3, trigger[1], {"status": "Accepted"})
    await asking
    await told(world, "Available", "Available")
    assert {each.status for each in world.twin.operation.connectors.values()} == {ConnectorStatus.AVAILABLE}


async def test_one_that_is_gone_by_then_is_not_asked(make_world: Any) -> None:
    world = await make_world(OCPP16)
    await told(world, "Unavailable", "Unavailable")
    world.session.retire()
    await ask_after_return(world.session, Chargers(world), 0, 5)  # type: ignore[arg-type]
    assert world.socket.unheard == 0


@pytest.mark.parametrize(
    ("command", "status", "agreed"),
    [
        (ChangeAvailability(operative=True), AnswerStatus.SCHEDULED, True),
        (ChangeAvailability(operative=True), AnswerStatus.REJECTED, False),
        (ChangeAvailability(operative=True, evse_id=1), AnswerStatus.ACCEPTED, False),
        (ChangeAvailability(operative=False), AnswerStatus.ACCEPTED, False),
    ],
)
def test_who_agreed_to_return(command: ChangeAvailability, status: AnswerStatus, *, agreed: bool) -> None:
    assert agreed_to_return(command, CommandAnswer(status)) is agreed
