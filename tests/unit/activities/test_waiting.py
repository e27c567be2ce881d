"""Holding on to a charger whose attempt lasts longer: what is written of it, and whose lease is touched."""

from dataclasses import replace
from datetime import timedelta

import pytest

from activities.orders import LEASE_SLACK_S
from activities.waiting import LongerWait, hold_on
from storage.campaign import Outcome, TargetPhase
from storage.charger import SiteLease
from tests.unit.activities.world import START, World

CP = "CP000"
UNTIL = START + timedelta(hours=2)
LONGER = LongerWait("c1", 0, CP, UNTIL, False, "no node of ours listened")


@pytest.fixture
async def world() -> World:
    world = World()
    await world.add_campaign([world.add_chargers(1)])
    await world.campaigns.move_target("c1", 0, CP, TargetPhase.DISPATCHED, "", at=START, request_id=7)
    return world


async def test_a_lease_that_ran_out_is_taken_again_for_the_same_campaign(world: World) -> None:
    """What it is away for is booked by campaign."""
    await hold_on(world.stores, LONGER)

    lease = world.leases.rows[CP]
    assert (lease.campaign_id, lease.request_id, lease.kind) == ("c1", 7, "update")
    assert lease.expires_at == UNTIL + timedelta(seconds=LEASE_SLACK_S)


async def test_one_that_was_called_back_goes_on_saying_so(world: World) -> None:
    key = ("c1", 0, CP)
    world.campaigns.target_rows[key] = replace(world.campaigns.target_rows[key], recalled="Ada wants it back")

    await hold_on(world.stores, LONGER)

    assert world.campaigns.target_rows[key].reason == "Ada wants it back; no node of ours listened"


async def test_a_lease_for_other_work_is_not_extended(world: World) -> None:
    world.leases.rows[CP] = other = SiteLease(CP, "site-0", "config/x", "configuration", UNTIL)

    await hold_on(world.stores, LONGER)

    assert world.leases.rows[CP] == other


@pytest.mark.parametrize("done", [True, False])
async def test_one_whose_books_are_closed_is_left_alone(world: World, *, done: bool) -> None:
    if done:
        await world.campaigns.finish_target("c1", 0, CP, Outcome.SKIPPED, "out", START)
    else:
        await world.campaigns.move_target("c1", 0, CP, TargetPhase.WAITING, "out", at=START)

    await hold_on(world.stores, LONGER)

    assert world.campaigns.target_rows["c1", 0, CP].reason == "out"
    assert CP not in world.leases.rows
