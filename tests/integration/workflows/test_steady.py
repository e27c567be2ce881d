"""Plans that want chargers to stay up: a boot loop is no success, and its site's slot stays taken."""

from dataclasses import replace
from datetime import timedelta

import pytest

from storage.campaign import Campaign, CampaignPhase, GatePolicy, Outcome, Pace
from storage.ids import TASK_QUEUE
from tests.integration.workflows.harness import Harness, until
from tests.unit.activities.world import World, good, idle
from workflows.housekeeping import HousekeepingWorkflow

pytestmark = [pytest.mark.integration, pytest.mark.requirement("R28")]
STEADY = Pace(attempt_deadline_seconds=600.0, max_attempts=1, steady_seconds=60.0)
LENIENT = GatePolicy(max_failure_share=0.9, min_attempts=1, max_excess_offline_share=1.0)


async def begin(skipping: Harness, world: World, count: int, pace: Pace = STEADY) -> tuple[Campaign, str]:
    """All at one site, where one may be away; and who is first."""
    world.default = idle
    names = world.add_chargers(count, sites=1)
    plan = world.plan(1, pace=pace, gate=LENIENT, rollback_artifact_id=None)
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)
    await until(lambda: bool(world.updates()))
    return campaign, world.updates()[0][0]


async def boots(skipping: Harness, world: World, name: str, version: str) -> None:
    """It restarts, and so it comes over a session of its own."""
    world.tick(await skipping.env.get_current_time())
    reconnects(world, name)
    await world.boot(name, version)


def reconnects(world: World, name: str) -> None:
    route = world.routes.rows[name]
    world.routes.rows[name] = replace(route, session_epoch=route.session_epoch + 1)


async def keeps_house(skipping: Harness, world: World, after: float) -> set[str]:
    """Who is still out of service through us after a round."""
    await passes(skipping, after)
    world.tick(await skipping.env.get_current_time())
    await skipping.client.execute_workflow(HousekeepingWorkflow.run, id="house", task_queue=TASK_QUEUE)
    return set(world.out_of_service.rows)


async def passes(skipping: Harness, seconds: float) -> None:
    await skipping.env.sleep(timedelta(seconds=seconds))


async def test_a_boot_loop_is_no_success_and_its_slot_is_not_given_away(
    skipping: Harness, world: World
) -> None:
    campaign, looping = await begin(skipping, world, 2)
    for _ in range(3):
        await boots(skipping, world, looping, "1.1")
        await passes(skipping, 40)
        assert world.campaigns.outcomes("c1")[looping] is None
        assert set(world.leases.rows) == {looping}
    world.default = good
    await boots(skipping, world, looping, "1.0")
    await until(lambda: world.campaigns.outcomes("c1")[looping] is not None)
    fell = await world.campaigns.target("c1", 0, looping)
    assert await keeps_house(skipping, world, 30) == {looping}, "nobody knows yet whether it stays up"
    assert await keeps_house(skipping, world, 40) == set()
    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    assert fell.outcome is Outcome.FAILED
    assert fell.reason.startswith(
        "boot loop: it came back 3 times with 1.1, and fell back to 1.0 by itself; "
    )
    assert sorted(world.campaigns.outcomes("c1").values()) == [Outcome.FAILED, Outcome.UPDATED]
    assert set(world.leases.most_down.values()) == {1}


async def test_a_lost_connection_begins_the_wait_anew(skipping: Harness, world: World) -> None:
    campaign, name = await begin(skipping, world, 1)
    await boots(skipping, world, name, "1.1")
    proved = world.now
    await passes(skipping, 40)
    reconnects(world, name)
    await passes(skipping, 30)
    assert world.campaigns.outcomes("c1")[name] is None, "the session that it booted over is gone"
    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    target = await world.campaigns.target("c1", 0, name)
    assert target.outcome is Outcome.UPDATED
    assert target.reason.endswith("stayed up for 60 s")
    assert target.finished_at is not None
    assert target.finished_at - proved >= timedelta(seconds=110)


async def test_one_that_never_stays_up_failed_at_the_deadline(skipping: Harness, world: World) -> None:
    pace = replace(STEADY, attempt_deadline_seconds=120.0)
    _, looping = await begin(skipping, world, 1, pace)
    for _ in range(3):
        await boots(skipping, world, looping, "1.1")
        await passes(skipping, 35)
    assert world.campaigns.outcomes("c1")[looping] is None
    await passes(skipping, 30)
    await until(lambda: world.campaigns.outcomes("c1")[looping] is not None)
    target = await world.campaigns.target("c1", 0, looping)
    assert target.outcome is Outcome.FAILED
    assert target.reason.startswith("it did not stay up: 3 boots in 1")


async def test_a_loop_that_nobody_hinted_at_is_seen_whole(skipping: Harness, world: World) -> None:
    _, name = await begin(skipping, world, 1)
    world.tick(await skipping.env.get_current_time())
    for version in ("1.1", "1.1", "1.0"):
        reconnects(world, name)
        await world.boot(name, version, signal=False)
    await passes(skipping, 160)
    await until(lambda: world.campaigns.outcomes("c1")[name] is not None)
    assert world.campaigns.outcomes("c1")[name] is Outcome.FAILED


async def test_what_proves_the_version_without_a_hint_is_found_by_a_look(
    skipping: Harness, world: World
) -> None:
    campaign, name = await begin(skipping, world, 1)
    world.tick(await skipping.env.get_current_time())
    await world.boot(name, "1.1", signal=False)
    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    target = await world.campaigns.target("c1", 0, name)
    assert target.outcome is Outcome.UPDATED
    assert target.finished_at is not None
    assert target.dispatched_at is not None
    assert target.finished_at - target.dispatched_at < timedelta(seconds=230), "at the first look"


async def test_a_retry_that_finds_the_version_there_counts_once_it_stays_up(
    skipping: Harness, world: World
) -> None:
    pace = replace(STEADY, attempt_deadline_seconds=120.0, max_attempts=2, retry_backoff_seconds=10.0)
    campaign, name = await begin(skipping, world, 1, pace)
    await passes(skipping, 100)
    await boots(skipping, world, name, "1.1")
    await passes(skipping, 25)
    await until(lambda: not world.leases.rows)
    assert any("too late to be seen to stay up" in str(row.detail) for row in world.audit.rows)
    assert set(world.out_of_service.rows) == {name}
    await boots(skipping, world, name, "1.1")
    again = world.now
    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    target = await world.campaigns.target("c1", 0, name)
    assert (target.outcome, len(world.updates())) == (Outcome.UPDATED, 1)
    assert target.finished_at is not None
    assert target.finished_at - again >= timedelta(seconds=60)
