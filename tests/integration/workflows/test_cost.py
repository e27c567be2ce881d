"""What the happy path costs in Temporal, counted from real histories."""

import pytest

from storage.campaign import CampaignPhase, Outcome
from storage.ids import (
    campaign_workflow_id,
    charger_workflow_id,
    shard_workflow_id,
    wave_workflow_id,
)
from tests.integration.workflows.harness import QUICK, Harness
from tests.unit.activities.world import World
from workflows.cost import cost_of, total

pytestmark = pytest.mark.integration
CHARGERS = 20


async def test_the_budget_per_charger_holds_with_its_share_of_the_parents(
    real: Harness, world: World
) -> None:
    names = world.add_chargers(CHARGERS)
    campaign = await world.add_campaign([names], world.plan(pace=QUICK))
    await real.start(campaign)
    assert await real.result(campaign) is CampaignPhase.COMPLETED
    assert set(world.campaigns.outcomes("c1").values()) == {Outcome.UPDATED}

    parents = [campaign_workflow_id("c1"), wave_workflow_id("c1", 0), shard_workflow_id("c1", 0, 0)]
    chargers = [charger_workflow_id(name) for name in names]
    spent = total([await real.history(name) for name in (*parents, *chargers)])
    one = cost_of(await real.history(chargers[0]))
    print(spent, one, [cost_of(await real.history(name)) for name in parents])

    assert one.events <= 24
    assert spent.actions / CHARGERS <= 8
    assert spent.events / CHARGERS <= 35
    assert spent.bytes / CHARGERS <= 4096


async def test_chargers_that_take_turns_at_their_sites_cost_hardly_more(real: Harness, world: World) -> None:
    names = world.add_chargers(CHARGERS, sites=4)
    campaign = await world.add_campaign([names], world.plan(pace=QUICK))
    await real.start(campaign)
    assert await real.result(campaign) is CampaignPhase.COMPLETED

    parents = [campaign_workflow_id("c1"), wave_workflow_id("c1", 0), shard_workflow_id("c1", 0, 0)]
    spent = total(
        [await real.history(name) for name in (*parents, *(charger_workflow_id(name) for name in names))]
    )
    print(spent)
    assert max(world.leases.most_down.values()) == 1
    assert spent.actions / CHARGERS <= 8
    assert spent.events / CHARGERS <= 35
