"""A shard whose history grows long continues as new, and takes along what it has to know."""

from dataclasses import replace

import pytest

from csms.commands import CommandAnswer, UpdateFirmware
from storage.campaign import CampaignPhase, GatePolicy, Outcome
from tests.integration.workflows.harness import QUICK, real_server, running
from tests.unit.activities.world import World, broken, good

pytestmark = pytest.mark.integration
SUGGESTED_AFTER = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")


@pytest.mark.requirement("R25", "S24")
async def test_retries_failures_and_directives_survive_a_new_run(world: World) -> None:
    async def second_time_lucky(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        return await (broken if len(world.updates(name)) == 1 else good)(world, name, command)

    names = world.add_chargers(12)
    world.behaviours |= {names[0]: second_time_lucky, names[1]: broken}
    gate = GatePolicy(max_failure_share=0.5, early_stop_failures=9)
    plan = world.plan(pace=replace(QUICK, window=2, retry_backoff_seconds=1.0), gate=gate)
    async with real_server(*SUGGESTED_AFTER) as env, running(env, world) as harness:
        campaign = await world.add_campaign([names], plan)
        await harness.start(campaign)
        assert await harness.result(campaign) is CampaignPhase.COMPLETED
        runs = [run async for run in harness.client.list_workflows('WorkflowType = "ShardWorkflow"')]

    assert len(runs) > 1
    outcomes = world.campaigns.outcomes("c1")
    assert outcomes.pop(names[1]) is Outcome.FAILED
    assert set(outcomes.values()) == {Outcome.UPDATED}
    sent = {name: [command.request_id for _, command in world.updates(name)] for name in names}
    assert [len(set(sent[name])) for name in names] == [2, 2] + [1] * 10
    issues = [row.directive_id.rsplit(".", 1)[1] for row in world.campaigns.directive_rows]
    assert issues == [str(number + 1) for number in range(len(issues))], "no number of a directive twice"
