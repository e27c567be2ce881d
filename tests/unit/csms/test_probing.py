"""What a node asks after a boot, and when it need not."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from csms.frames import OCPP16
from csms.probing import ask_after_boot
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
