"""Chargers that boot with the version after their attempt was over: compared before they count (X9)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from csms.commands import CommandAnswer, GetVariables, UpdateFirmware
from csms.errors import CommandTimeout
from storage.campaign import Campaign, CampaignPhase, GatePolicy, Outcome, Pace, Target
from storage.events import ConnectorStatus
from storage.ids import TASK_QUEUE
from storage.twin import ConfigurationSection, ConnectorState, OperationSection
from tests.integration.workflows.harness import Harness, until
from tests.unit.activities.world import ACCEPTED, START, World, broken, good
from workflows.housekeeping import HousekeepingWorkflow

pytestmark = [pytest.mark.integration, pytest.mark.requirement("X9", "R37")]
NAME = "CP000"
SETTINGS = {"HeartbeatInterval": "60", "MeterValueSampleInterval": "900"}
SPOILT = SETTINGS | {"MeterValueSampleInterval": "60"}
LENIENT = GatePolicy(max_failure_share=0.9, early_stop_failures=100, max_excess_offline_share=1.0)
PACE = Pace(max_attempts=2, retry_backoff_seconds=3600.0, wave_deadline_seconds=4 * 3600.0)


async def failed(skipping: Harness, world: World, pace: Pace = PACE) -> Campaign:
    """Its first attempt has failed, and the next one is an hour away."""
    names = world.add_chargers(3)
    world.behaviours[NAME] = broken
    world._twin(NAME, configuration=ConfigurationSection(SETTINGS))
    world.settings[NAME] = dict(SETTINGS)
    campaign = await world.add_campaign([names], world.plan(1, pace=pace, gate=LENIENT))
    await skipping.start(campaign)
    await until(lambda: row(world).reason.startswith("attempt 1 failed"))
    assert world.kept.rows
    return campaign


def row(world: World) -> Target:
    return world.campaigns.target_rows["c1", 0, NAME]


async def boots_late(skipping: Harness, world: World) -> None:
    world.tick(await skipping.env.get_current_time())
    world.settings[NAME] = dict(SPOILT)
    await world.boot(NAME, "1.1", signal=False)


async def test_what_it_has_changed_is_put_back_before_it_counts(skipping: Harness, world: World) -> None:
    campaign = await failed(skipping, world)
    sent = len(world.sent)
    await boots_late(skipping, world)
    booted = world.now

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    ended = row(world)
    assert (ended.outcome, ended.attempt) == (Outcome.UPDATED, 1), "it was that attempt, and no other"
    assert ended.reason == (
        "it booted with 1.1 after its attempt was over; "
        "the update had changed MeterValueSampleInterval, put back"
    )
    assert ended.finished_at is not None
    assert ended.finished_at - booted < timedelta(minutes=10), "nobody waits for the pause between attempts"
    assert world.settings[NAME] == SETTINGS
    kinds = [type(command).__name__ for name, command in world.sent[sent:] if name == NAME]
    assert kinds == ["GetVariables", "SetVariables"], "nothing else was sent to it"
    assert not world.kept.rows
    concluded = [entry for entry in world.audit.rows if entry.action == "update.concluded"]
    assert NAME in {entry.subject.removeprefix("charger/") for entry in concluded}


async def test_what_cannot_be_put_back_is_a_failure(skipping: Harness, world: World) -> None:
    world.read_only.add("MeterValueSampleInterval")
    campaign = await failed(skipping, world)
    await boots_late(skipping, world)

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    assert row(world).outcome is Outcome.FAILED
    assert "settings that cannot be put back: MeterValueSampleInterval" in row(world).reason
    assert len(world.updates(NAME)) == 1


async def test_one_that_is_offline_waits_and_counts_once_it_is_back(skipping: Harness, world: World) -> None:
    campaign = await failed(skipping, world)
    await boots_late(skipping, world)
    world.unplug(NAME)
    await skipping.env.sleep(timedelta(minutes=30))
    assert row(world).outcome is None
    world.plug(NAME)

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    assert (row(world).outcome, world.settings[NAME]) == (Outcome.UPDATED, SETTINGS)


async def test_one_that_never_comes_back_was_attempted_and_failed(skipping: Harness, world: World) -> None:
    campaign = await failed(skipping, world)
    await boots_late(skipping, world)
    world.unplug(NAME)

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    assert (row(world).outcome, row(world).reason) == (
        Outcome.FAILED,
        "it runs 1.1, and counts once its settings are compared; it is offline",
    )
    await skipping.client.execute_workflow(HousekeepingWorkflow.run, id="house", task_queue=TASK_QUEUE)
    assert not world.kept.rows


async def test_one_that_does_not_answer_is_not_counted_for_that(skipping: Harness, world: World) -> None:
    campaign = await failed(skipping, world)
    world.answers[GetVariables] = CommandTimeout(NAME, "GetVariables", 15.0)
    await boots_late(skipping, world)
    await skipping.env.sleep(timedelta(minutes=10))
    assert row(world).outcome is None
    assert row(world).reason.endswith("after its attempt was over, and its settings could not be compared")
    del world.answers[GetVariables]

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    assert (row(world).outcome, world.settings[NAME]) == (Outcome.UPDATED, SETTINGS)
    assert len(world.updates(NAME)) == 1


async def begun(skipping: Harness, world: World, *, closed: bool = False) -> Campaign:
    """One whose settings are known; it comes out of its update with others."""
    names = world.add_chargers(3)
    if closed:
        connector = ConnectorState(1, 1, ConnectorStatus.UNAVAILABLE, START)
        world._twin(NAME, operation=OperationSection({"1.1": connector}))
    world._twin(NAME, configuration=ConfigurationSection(SETTINGS))
    world.settings[NAME] = dict(SETTINGS)
    campaign = await world.add_campaign([names], world.plan(1, pace=PACE, gate=LENIENT))
    await skipping.start(campaign)
    return campaign


async def test_one_that_is_proven_and_vanishes_counts_once_it_is_back_and_compared(
    skipping: Harness, world: World
) -> None:
    async def boots_and_vanishes(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        world.settings[name] = dict(SPOILT)
        await good(world, name, command)
        world.unplug(name)
        return ACCEPTED

    world.behaviours[NAME] = boots_and_vanishes
    campaign = await begun(skipping, world)
    await skipping.env.sleep(timedelta(hours=2))
    assert row(world).outcome is None
    assert "counts once its settings are compared" in row(world).reason
    world.plug(NAME)

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    assert (row(world).outcome, row(world).attempt) == (Outcome.UPDATED, 1)
    assert (world.settings[NAME], world.inoperative) == (SETTINGS, set())
    assert len(world.updates(NAME)) == 1


async def test_one_that_its_operator_had_closed_is_compared_all_the_same(
    skipping: Harness, world: World
) -> None:
    """Nothing was taken from it, so its end does not bring us to its node by itself."""

    async def spoils(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        world.settings[name] = dict(SPOILT)
        return await good(world, name, command)

    world.behaviours[NAME] = spoils
    campaign = await begun(skipping, world, closed=True)

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    assert (row(world).outcome, world.settings[NAME]) == (Outcome.UPDATED, SETTINGS)
    assert row(world).reason.endswith("the update had changed MeterValueSampleInterval, put back")
    assert len(world.updates(NAME)) == 1


@pytest.mark.requirement("R28")
async def test_it_stays_up_first_where_the_plan_wants_that(skipping: Harness, world: World) -> None:
    campaign = await failed(skipping, world, replace(PACE, steady_seconds=300.0))
    await boots_late(skipping, world)
    await skipping.env.sleep(timedelta(minutes=2))
    assert row(world).outcome is None
    await boots_late(skipping, world)
    again = world.now

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    assert (row(world).outcome, world.settings[NAME]) == (Outcome.UPDATED, SETTINGS)
    finished = row(world).finished_at
    assert finished is not None
    assert finished - again >= timedelta(minutes=5)
    assert len(world.updates(NAME)) == 1
