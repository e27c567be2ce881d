"""Our own absence: chargers that were updating while nobody of ours listened are not charged for it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from storage.campaign import Campaign, CampaignPhase, GatePolicy, Outcome, Pace, VerdictWord
from tests.integration.workflows.harness import Harness, until
from tests.support.memory_listening import Nodes
from tests.unit.activities.world import World, good, idle, mute
from workflows.absence import MOST_WAIT

pytestmark = [pytest.mark.integration, pytest.mark.requirement("R24")]
PACE = Pace(attempt_deadline_seconds=600.0, max_attempts=2, retry_backoff_seconds=60.0)
STRICT = GatePolicy(
    max_failure_share=0.0, min_attempts=1, early_stop_failures=1, max_excess_offline_share=1.0
)


async def passes(harness: Harness, seconds: float) -> None:
    await harness.env.sleep(timedelta(seconds=seconds))
    harness.world.tick(await harness.env.get_current_time())


async def begin(harness: Harness, pace: Pace = PACE, count: int = 3) -> tuple[Campaign, list[str]]:
    """Everybody accepts the update at once and is busy with it."""
    world = harness.world
    world.default = idle
    names = world.add_chargers(count)
    plan = world.plan(1, pace=pace, gate=STRICT, rollback_artifact_id=None)
    campaign = await world.add_campaign([names], plan)
    await harness.start(campaign)
    await until(lambda: len(world.updates()) == count)
    world.tick(await harness.env.get_current_time())
    return campaign, names


async def test_nodes_that_were_away_for_an_hour_cost_no_charger_anything(
    skipping: Harness, world: World
) -> None:
    """Long beyond the deadline; everybody is back, updated, two minutes after them. No hint tells of it."""
    nodes = Nodes(world)
    campaign, names = await begin(skipping)
    await passes(skipping, 60)
    nodes.fall(*names)
    await passes(skipping, 3600)
    nodes.rise()
    await passes(skipping, 120)
    assert set(world.campaigns.outcomes("c1").values()) == {None}, (
        "nobody is judged by what he could not tell"
    )
    for name in names:
        await world.boot(name, "1.1", signal=False)
    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    targets = [await world.campaigns.target("c1", 0, name) for name in names]
    assert {(one.outcome, one.attempt) for one in targets} == {(Outcome.UPDATED, 1)}
    assert len(world.updates()) == 3


async def test_while_it_waits_it_says_why_and_keeps_its_place(skipping: Harness, world: World) -> None:
    nodes = Nodes(world)
    _, names = await begin(skipping)
    lease = world.leases.rows[names[0]]
    await passes(skipping, 60)
    nodes.fall(*names)
    await passes(skipping, 700)
    nodes.rise()
    target = await world.campaigns.target("c1", 0, names[0])
    assert target.outcome is None
    assert target.reason.startswith("no node of ours has listened to chargers since 20")
    assert target.reason.endswith("; it is not judged before one has for 10 min")
    await passes(skipping, 590)
    target = await world.campaigns.target("c1", 0, names[0])
    assert target.outcome is None
    assert "no node of ours listened to chargers for 12 min from" in target.reason
    assert "that is not counted, and it has until" in target.reason
    assert world.leases.rows[names[0]].expires_at >= lease.expires_at + timedelta(seconds=700)


async def test_who_does_not_come_back_is_silent_all_the_same_and_its_reason_says_how_long_it_had(
    skipping: Harness, world: World
) -> None:
    nodes = Nodes(world)
    campaign, names = await begin(skipping, count=1)
    began = world.now
    await passes(skipping, 60)
    nodes.fall(*names)
    await passes(skipping, 700)
    nodes.rise()
    assert await skipping.result(campaign) is CampaignPhase.ABORTED
    target = await world.campaigns.target("c1", 0, names[0])
    assert target.outcome is Outcome.SILENT
    assert target.reason.startswith("it did not come back before the deadline; nobody near it tells")
    assert "; no node of ours listened to chargers for 12 min from " in target.reason
    assert ", which is not counted" in target.reason
    assert target.finished_at is not None
    assert timedelta(seconds=1290) <= target.finished_at - began < timedelta(seconds=1700)


async def test_one_that_only_lost_time_to_us_has_it_back(skipping: Harness, world: World) -> None:
    """It is connected all the time; what it fetches from was away as long as we were."""
    nodes = Nodes(world)
    campaign, names = await begin(skipping, count=1)
    await passes(skipping, 60)
    nodes.fall()
    await passes(skipping, 300)
    nodes.rise()
    await passes(skipping, 500)
    assert world.campaigns.outcomes("c1") == {names[0]: None}
    world.default = good
    await world.boot(names[0], "1.1")
    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    assert (await world.campaigns.target("c1", 0, names[0])).attempt == 1


async def test_a_system_that_never_comes_to_rest_decides_nothing(skipping: Harness, world: World) -> None:
    """Nobody listens for a day: neither success nor failure, and nothing is stopped for it."""
    nodes = Nodes(world)
    pace = Pace(attempt_deadline_seconds=600.0, max_attempts=1, wave_deadline_seconds=90000.0)
    campaign, names = await begin(skipping, pace, count=1)
    nodes.fall(*names)
    for _ in range(48):  # One long sleep would not be answered in time: it looks on every few minutes.
        await passes(skipping, MOST_WAIT.total_seconds() / 48)
    assert world.campaigns.outcomes("c1") == {names[0]: None}
    await passes(skipping, 1500)
    await until(lambda: world.campaigns.outcomes("c1")[names[0]] is not None)
    target = await world.campaigns.target("c1", 0, names[0])
    assert target.outcome is Outcome.DEFERRED
    assert target.reason.startswith("not decided: no node of ours listened to chargers for ")
    assert world.campaigns.rows["c1"].phase is not CampaignPhase.ABORTED
    assert campaign.campaign_id == "c1"


@pytest.mark.requirement("R37", "R44")
async def test_an_image_that_silences_chargers_does_not_go_to_all_of_them_while_we_are_away(
    skipping: Harness, world: World
) -> None:
    """Those of whom nobody knows keep their places: nobody else is sent it, and a person decides."""
    nodes = Nodes(world)
    world.default = idle
    names = world.add_chargers(6)
    pace = Pace(window=2, attempt_deadline_seconds=600.0, max_attempts=1, wave_deadline_seconds=200000.0)
    plan = world.plan(2, pace=pace, gate=replace(STRICT, max_looks=1), rollback_artifact_id=None)
    await skipping.start(await world.add_campaign([names[:4], names[4:]], plan))
    await until(lambda: len(world.updates()) == 2)
    nodes.fall()
    for _ in range(50):
        await passes(skipping, MOST_WAIT.total_seconds() / 48)
    nodes.rise()
    for _ in range(20):
        await passes(skipping, 300)
    assert len(world.updates()) == 2
    said = [one for one in world.campaigns.outcomes("c1").values() if one is not None]
    assert sorted(said) == [Outcome.CANCELLED, Outcome.CANCELLED, Outcome.DEFERRED, Outcome.DEFERRED]
    assert world.campaigns.rows["c1"].phase is not CampaignPhase.COMPLETED
    found = world.campaigns.decision_rows
    assert {one.verdict for one in found} == {VerdictWord.HOLD}
    assert found[-1].inputs["facts"]["unfinished"] == 2


async def test_with_us_there_all_the_time_nothing_is_as_it_was_not(skipping: Harness, world: World) -> None:
    Nodes(world)
    world.default = mute
    names = world.add_chargers(1)
    plan = world.plan(1, pace=PACE, gate=STRICT, rollback_artifact_id=None)
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)
    assert await skipping.result(campaign) is CampaignPhase.ABORTED
    target = await world.campaigns.target("c1", 0, names[0])
    assert target.outcome is Outcome.SILENT
    assert "no node of ours" not in target.reason
