"""A node that is late with its work sends nothing new, and says so."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.campaigns import CampaignActivities, CloseInput
from activities.dispatch import DispatchActivities
from activities.fetching import FetchActivities, FetchInput
from activities.orders import DispatchAnswer, DispatchInput, DispatchKind, Node
from activities.signer import DirectiveOrder, SignerActivities
from activities.strain import LOOP_LATE_S, STARTED_LATE_S, UNMARKED_S, why_strained
from storage.campaign import Outcome, Pace, TargetPhase
from tests.unit.activities.world import START, World, lost_answer

CP = "CP000"


@pytest.fixture
async def world() -> World:
    world = World()
    world.add_chargers(2)
    await world.add_campaign([[CP], ["CP001"]], world.plan(2, pace=Pace(download_ahead_seconds=60.0)))
    await world.approve("c1")
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)  # type: ignore[arg-type]
    await signer.sign_directive(DirectiveOrder("c1", 0, 0, 1, 0, 500, 3600.0))
    return world


async def dispatch(node: Node, waited_s: float = 0.0) -> DispatchAnswer:
    environment = ActivityEnvironment()
    late = environment.info.current_attempt_scheduled_time + timedelta(seconds=waited_s)
    environment.info = replace(environment.info, started_time=late)
    given = DispatchInput("c1", 0, 0, CP, 1, 1)
    return await environment.run(DispatchActivities(node).dispatch_update, given)


def slow(world: World, seconds: float = LOOP_LATE_S + 1) -> Node:
    return replace(world.node, loop_late=lambda: seconds)


def test_late_is_later_than_what_a_command_may_wait() -> None:
    assert why_strained(STARTED_LATE_S, LOOP_LATE_S) == ""
    assert "orders" in why_strained(STARTED_LATE_S + 0.1, 0.0)
    assert "what chargers say" in why_strained(0.0, LOOP_LATE_S + 0.1)
    assert why_strained(0.0, 0.0, UNMARKED_S) == ""
    assert why_strained(0.0, 0.0, UNMARKED_S + 0.1).endswith("its node cannot write down that it listens")


async def test_nothing_is_sent_and_nothing_touched_by_a_node_that_is_late(world: World) -> None:
    unmarked = replace(world.node, unmarked=lambda: UNMARKED_S + 1)
    late = (
        await dispatch(slow(world)),
        await dispatch(world.node, STARTED_LATE_S + 1),
        await dispatch(unmarked),
    )
    for answer in late:
        assert (answer.kind, answer.strained, answer.drained) == (DispatchKind.NOT_NOW, True, False)
    assert world.sent == []
    assert world.leases.rows == {}
    assert (await world.campaigns.target("c1", 0, CP)).phase is TargetPhase.PENDING


async def test_what_was_sent_already_is_sent_to_its_end(world: World) -> None:
    world.behaviours[CP] = lost_answer
    assert (await dispatch(world.node)).kind is DispatchKind.UNKNOWN
    world.behaviours.clear()
    assert (await dispatch(slow(world))).kind is DispatchKind.ACCEPTED


async def test_nothing_is_fetched_ahead_from_a_node_that_is_late(world: World) -> None:
    activities = FetchActivities(slow(world))
    answer = await ActivityEnvironment().run(activities.order_fetch, FetchInput("c1", 0, 0, CP, 1))
    assert (answer.kind, answer.reason) == (DispatchKind.NOT_NOW, why_strained(0.0, 9.0))
    assert world.sent == []


@pytest.mark.requirement("F120")
async def test_a_deferral_keeps_the_reason_for_which_it_waited(world: World) -> None:
    await world.campaigns.move_target("c1", 0, CP, TargetPhase.WAITING, "a car is there", at=START)
    given = CloseInput("c1", Outcome.DEFERRED, "it could not be touched before the wave's end", 0)
    await CampaignActivities(world.stores).close_targets(given)
    assert (await world.campaigns.target("c1", 0, CP)).reason.endswith(
        "before the wave's end: a car is there"
    )
    await CampaignActivities(world.stores).close_targets(replace(given, wave=1))
    assert (await world.campaigns.target("c1", 1, "CP001")).reason.endswith("wave's end"), "nothing was said"
