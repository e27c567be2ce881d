"""Who fell back by itself is written down as a campaign ends, and never keeps it from ending."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from activities.fallen import LOOKS_FOR, settle
from storage.campaign import Outcome, Target, TargetPhase
from tests.unit.activities.world import World

pytestmark = pytest.mark.requirement("R29", "R48")
NAMES = [f"CP{number:03d}" for number in range(4)]


@pytest.fixture
async def fallen() -> World:
    """Four that came up with 1.1 after the command, and then with 1.0."""
    world = World()
    world.add_chargers(4)
    await world.campaigns.add_targets([_updated(world, name, number) for number, name in enumerate(NAMES)])
    for version in ("1.1", "1.0"):
        world.now += timedelta(seconds=5)
        for name in NAMES:
            await world.boot(name, version)
    return world


def _updated(world: World, name: str, number: int) -> Target:
    return Target(
        "c1", 0, number, name, "s1", "f" * 64, "1.0", "1.1", TargetPhase.DONE, Outcome.UPDATED, "it booted",
        1, 7, world.now, world.now + timedelta(seconds=5),
    )  # fmt: skip


async def outcomes(world: World) -> list[Outcome | None]:
    return [(await world.campaigns.target("c1", 0, name)).outcome for name in NAMES]


async def test_one_that_there_is_no_time_for_is_counted_and_holds_up_no_end(fallen: World) -> None:
    takes_long(fallen, LOOKS_FOR / 2)
    assert await settle(fallen.stores, "c1") == 3
    assert await outcomes(fallen) == [Outcome.FAILED] * 3 + [Outcome.UPDATED]
    *told, last = fallen.audit.rows
    assert [row.action for row in told] == ["campaign.charger_fell_back"] * 3
    assert (last.action, last.detail) == ("campaign.fall_backs_not_looked_at", {"chargers": 1})


async def test_what_was_found_stays_found_where_a_worker_dies_in_the_middle(fallen: World) -> None:
    look, asked = fallen.events.since, []

    async def and_dies(charger_id: str, *rest: Any) -> Sequence[Any]:
        asked.append(charger_id)
        if len(asked) == 3:
            raise RuntimeError
        return await look(charger_id, *rest)

    fallen.events.since = and_dies  # type: ignore[assignment,method-assign]
    with pytest.raises(RuntimeError):
        await settle(fallen.stores, "c1")
    assert await outcomes(fallen) == [Outcome.FAILED] * 2 + [Outcome.UPDATED] * 2
    assert await settle(fallen.stores, "c1") == 2
    assert await outcomes(fallen) == [Outcome.FAILED] * 4
    assert fallen.audit.actions() == ["campaign.charger_fell_back"] * 4, "each once"


async def test_an_image_that_another_campaign_had_it_fetch_and_that_it_installed_is_no_fall_back(
    fallen: World,
) -> None:
    sent = _updated(fallen, NAMES[0], 0)
    by_itself = replace(
        sent, campaign_id="c2", to_version="1.0", dispatched_at=None, finished_at=fallen.now
    )  # fmt: skip
    await fallen.campaigns.add_targets([by_itself])
    assert await settle(fallen.stores, "c1") == 3
    assert (await outcomes(fallen))[0] is Outcome.UPDATED


def takes_long(world: World, each: timedelta) -> None:
    look = world.events.since

    async def slowly(*given: Any) -> Sequence[Any]:
        world.now += each
        return await look(*given)

    world.events.since = slowly  # type: ignore[assignment,method-assign]
