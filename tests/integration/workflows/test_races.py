"""An update and the end of the same charger at once. The rule: whoever has the charger goes to its end first.

An update that was sent ends by its own rules and has no second attempt; then the charger is retired. One that
was not sent is not sent any more, and a charger on its way out is skipped by every campaign.
"""

from datetime import timedelta

import pytest

from csms.commands import AnswerStatus, CommandAnswer, GetLog, UpdateFirmware
from storage.campaign import CampaignPhase, GatePolicy, Outcome
from storage.ids import TASK_QUEUE, charger_workflow_id
from storage.retirement import Retirement, RetirementState
from storage.twin import Lifecycle
from tests.integration.workflows.harness import Harness
from tests.unit.activities.world import ACCEPTED, World, broken
from workflows.decommission import DecommissionInput, DecommissionWorkflow

LENIENT = GatePolicy(max_failure_share=0.9, early_stop_failures=100)
pytestmark = [pytest.mark.integration, pytest.mark.requirement("F47")]


@pytest.fixture
def world() -> World:
    made = World()
    made.answers[GetLog] = CommandAnswer(AnswerStatus.REJECTED)
    return made


async def ask(harness: Harness, world: World, name: str) -> bool:
    """Whether it began at once."""
    deadline = world.now + timedelta(hours=1)
    await harness.retirements.open(Retirement(name, "sam", "sold", world.now, deadline))
    return await harness.orchestrator.retire_charger(name)


async def retired(harness: Harness, world: World, name: str) -> None:
    await harness.client.execute_workflow(
        DecommissionWorkflow.run,
        DecommissionInput(name, 1, 5),
        id=charger_workflow_id(name),
        task_queue=TASK_QUEUE,
    )
    found = await harness.retirements.get(name)
    assert found.state is RetirementState.RECEIPTED
    assert world.chargers.rows[name].charger.lifecycle is Lifecycle.RETIRED


@pytest.mark.parametrize("good", [True, False], ids=["it succeeds", "it fails"])
async def test_one_that_is_retired_during_its_update_is_updated_first_and_once(
    skipping: Harness, world: World, good: bool
) -> None:
    names = world.add_chargers(4)
    name = names[0]
    began = []

    async def asked_meanwhile(world: World, charger_id: str, command: UpdateFirmware) -> CommandAnswer:
        began.append(await ask(skipping, world, charger_id))
        if not good:
            return await broken(world, charger_id, command)
        await world.boot(charger_id, world.sent_version(charger_id))
        return ACCEPTED

    world.behaviours[name] = asked_meanwhile
    campaign = await world.add_campaign([names], world.plan(1, gate=LENIENT))
    await skipping.start(campaign)
    await skipping.result(campaign)
    assert began == [False], "the update has the charger, and only one try of it was sent"
    outcome = world.campaigns.outcomes("c1")[name]
    assert outcome is (Outcome.UPDATED if good else Outcome.FAILED)
    await retired(skipping, world, name)
    assert [each for each, _ in world.updates()].count(name) == 1


async def test_one_that_is_on_its_way_out_gets_no_update(skipping: Harness, world: World) -> None:
    leaving, *staying = world.add_chargers(5)
    world.plug_in(leaving)
    assert await ask(skipping, world, leaving)
    campaign = await world.add_campaign([[leaving, *staying]])
    await skipping.start(campaign)
    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    outcomes = world.campaigns.outcomes("c1")
    assert outcomes == {leaving: Outcome.SKIPPED} | dict.fromkeys(staying, Outcome.UPDATED)
    assert sorted(name for name, _ in world.updates()) == staying
    assert world.chargers.rows[leaving].charger.lifecycle in (Lifecycle.RETIRING, Lifecycle.RETIRED)
    await skipping.client.get_workflow_handle(charger_workflow_id(leaving)).terminate("the test is over")
