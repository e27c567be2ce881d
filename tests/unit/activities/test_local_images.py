"""The order to a local controller: whatever stops a campaign stops it, too (OCPP 2.0.1 L03)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.local_images import LocalImageSender, LocalKind, LocalOrder, LocalQuery
from csms.commands import AnswerStatus, Command, CommandAnswer, PublishFirmware
from storage.campaign import CampaignPhase
from storage.canonical import sha256_hex
from storage.publication import LocalImage
from storage.twin import Lifecycle
from storage.upkeep import Upkeep
from storage.windows import Closure, ClosureKind
from tests.unit.activities.world import START, World

IMAGE = LocalQuery("c1", 0, "site-0")


async def offered(world: World) -> LocalKind:
    names = world.add_chargers(2, sites=1)
    await world.add_campaign([names[1:]])
    await world.approve("c1")
    world.answers[PublishFirmware] = CommandAnswer(AnswerStatus.ACCEPTED)
    await world.publications.open(
        LocalImage(
            "c1", 0, "site-0", names[0], sha256_hex(b"1.1"), "0" * 32, 7, START, START.replace(year=2099)
        )
    )
    sender = LocalImageSender(world.node)
    return (await ActivityEnvironment().run(sender.publish_locally, LocalOrder(IMAGE, names[0], 1))).kind


async def test_a_controller_is_told_while_the_campaign_runs() -> None:
    world = World()
    assert await offered(world) is LocalKind.DONE
    assert [type(command) for _, command in world.sent] == [PublishFirmware]


async def test_a_pause_while_the_order_waits_for_its_turn_holds_it_back() -> None:
    world = World()

    async def paused(_: str, command: Command) -> None:
        assert isinstance(command, PublishFirmware)
        await world.campaigns.set_phase("c1", CampaignPhase.PAUSED, "somebody paused it", world.now)

    world.on_turn = paused
    assert await offered(world) is LocalKind.NO
    assert world.sent == []


@pytest.mark.parametrize("why", ["freeze", "hold", "end", "quarantined"])
async def test_what_forbids_every_download_forbids_a_controllers_too(why: str) -> None:
    world, hour = World(), timedelta(hours=1)

    async def comes(name: str, _: Command) -> None:
        match why:
            case "freeze":
                await world.upkeep.put_closures(
                    [Closure(START - hour, START + hour, ClosureKind.FREEZE, "fair", "site-0")]
                )
            case "hold":
                await world.upkeep.put_upkeep(Upkeep(name, "its meter is changed"))
            case "end":
                world.campaigns.rows["c1"] = replace(world.campaigns.rows["c1"], ends_at=START)
            case "quarantined":
                view = world.chargers.rows[name]
                away = replace(view.charger, lifecycle=Lifecycle.QUARANTINED)
                world.chargers.rows[name] = replace(view, charger=away)

    world.on_turn = comes
    assert await offered(world) is LocalKind.NO
    assert world.sent == []
