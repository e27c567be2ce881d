"""While our own machines are late nothing new is sent; then it goes on by itself."""

from dataclasses import replace

import pytest

from storage.campaign import CampaignPhase, Outcome
from tests.integration.workflows.harness import QUICK, real_server, running, until
from tests.unit.activities.world import World
from workflows.strain import HELD

pytestmark = pytest.mark.integration


def reasons(world: World) -> set[str]:
    return {row.reason for row in world.campaigns.target_rows.values()}


async def test_chargers_are_held_with_the_reason_while_signals_are_late(world: World) -> None:
    names = world.add_chargers(3)
    world.events.late = 60.0
    campaign = await world.add_campaign([names], world.plan(1, pace=QUICK))
    async with real_server() as env, running(env, world) as harness:
        await harness.start(campaign)
        await until(lambda: all(reason.startswith(HELD) for reason in reasons(world)))
        assert world.updates() == []
        world.events.late = 0.0
        assert await harness.result(campaign) is CampaignPhase.COMPLETED
    assert set(world.campaigns.outcomes("c1").values()) == {Outcome.UPDATED}


async def test_a_node_that_is_late_is_asked_less_and_then_as_before(world: World) -> None:
    names = world.add_chargers(3)
    world.loop_late = 9.0
    campaign = await world.add_campaign([names], world.plan(1, pace=QUICK))
    async with real_server() as env, running(env, world) as harness:
        await harness.start(campaign)
        await until(lambda: any(reason.startswith(HELD) for reason in reasons(world)))
        assert world.updates() == []
        world.loop_late = 0.0
        assert await harness.result(campaign) is CampaignPhase.COMPLETED


async def test_a_deferral_says_what_it_waited_for(world: World) -> None:
    names = world.add_chargers(2)
    world.events.late = 60.0
    pace = replace(QUICK, wave_deadline_seconds=1.0)
    campaign = await world.add_campaign([names], world.plan(1, pace=pace))
    async with real_server() as env, running(env, world) as harness:
        await harness.start(campaign)
        await until(lambda: set(world.campaigns.outcomes("c1").values()) == {Outcome.DEFERRED})
    assert all(f"before the wave's end: {HELD}" in reason for reason in reasons(world))
