"""What the happy path costs in Temporal, counted from real histories."""

import asyncio
from dataclasses import replace

import pytest

from csms.commands import CommandAnswer, UpdateFirmware
from storage.campaign import CampaignPhase, Outcome, Pace
from storage.ids import (
    campaign_workflow_id,
    charger_workflow_id,
    shard_workflow_id,
    wave_workflow_id,
)
from tests.integration.workflows.harness import QUICK, Harness
from tests.unit.activities.world import ACCEPTED, World
from workflows.cost import Cost, cost_of, total

pytestmark = pytest.mark.integration
CHARGERS = 20


async def boots_later(world: World, charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """The answer first, the proof a moment after it, as in the field: the workflow waits with a timer."""
    version = world.sent_version(charger_id)

    async def boot() -> None:
        await asyncio.sleep(0.3)
        await world.boot(charger_id, version)

    world.tasks.append(asyncio.create_task(boot()))
    return ACCEPTED


async def run_campaign(
    real: Harness, world: World, names: list[str], pace: Pace = QUICK
) -> tuple[Cost, list[Cost]]:
    """The cost of the whole tree, and of each charger's own workflow."""
    world.default = boots_later
    campaign = await world.add_campaign([names], world.plan(pace=pace))
    await real.start(campaign)
    assert await real.result(campaign) is CampaignPhase.COMPLETED
    assert set(world.campaigns.outcomes("c1").values()) == {Outcome.UPDATED}
    parents = [campaign_workflow_id("c1"), wave_workflow_id("c1", 0), shard_workflow_id("c1", 0, 0)]
    chargers = [await real.history(charger_workflow_id(name)) for name in names]
    return total([*[await real.history(name) for name in parents], *chargers]), [*map(cost_of, chargers)]


async def test_the_budget_per_charger_holds_with_its_share_of_the_parents(
    real: Harness, world: World
) -> None:
    everything, chargers = await run_campaign(real, world, world.add_chargers(CHARGERS))

    assert everything.actions / CHARGERS <= 8
    assert everything.events / CHARGERS <= 35
    # 21, and a workflow task more for each thing that happens while another one is being handled.
    assert max(one.events for one in chargers) <= 30
    assert max(one.actions for one in chargers) <= 4, "and two for its start, in its parent's history"
    assert max(one.bytes for one in chargers) <= 4096
    # Temporal's own index leads from a campaign to its chargers, which do not name it.
    async with asyncio.timeout(30):
        while (await real.client.count_workflows("RootWorkflowId = 'campaign/c1'")).count < CHARGERS + 3:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_chargers_that_take_turns_at_their_sites_stay_within_it(real: Harness, world: World) -> None:
    everything, _ = await run_campaign(real, world, world.add_chargers(CHARGERS, sites=4))

    assert max(world.leases.most_down.values()) == 1
    assert everything.actions / CHARGERS <= 8
    assert everything.events / CHARGERS <= 35


async def test_chargers_that_have_to_stay_up_cost_one_timer_more(real: Harness, world: World) -> None:
    pace = replace(QUICK, steady_seconds=0.5)
    everything, chargers = await run_campaign(real, world, world.add_chargers(CHARGERS), pace)

    assert max(one.actions for one in chargers) <= 5
    assert everything.actions / CHARGERS <= 8
    # Five for the timer: started, fired, and the workflow task that it brings.
    assert everything.events / CHARGERS <= 35 + 5
