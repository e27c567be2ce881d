"""A rollback is rehearsed on canaries before anybody else is updated (X11)."""

from datetime import timedelta

import pytest

from csms.commands import CommandAnswer, UpdateFirmware
from storage.campaign import FORWARD_AGAIN_WAVE, REHEARSAL_WAVE, CampaignPhase, Outcome, Pace, VerdictWord
from storage.capability import Declared
from storage.charger import ModelProfile
from tests.integration.workflows.harness import Harness, until
from tests.unit.activities.world import MODEL, VENDOR, World, broken, falls_back, good
from workflows.gate import recompute

pytestmark = [pytest.mark.integration, pytest.mark.requirement("X11")]
P = CampaignPhase
BACK, AGAIN = REHEARSAL_WAVE, FORWARD_AGAIN_WAVE


async def rehearsing(world: World, rehearse: int = 2, **changes):
    names = world.add_chargers(8)
    plan = world.plan(2, rehearse_rollback=rehearse, pace=Pace(max_attempts=1), **changes)
    return names, await world.add_campaign([names[:4], names[4:]], plan)


async def test_canaries_go_back_and_forward_again_before_the_second_wave(
    skipping: Harness, world: World
) -> None:
    names, campaign = await rehearsing(world)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert {world.version(name) for name in names} == {"1.1"}
    order = [name for name, _ in world.updates()]
    assert sorted(order[:4]) == names[:4], "the canaries first"
    assert sorted(order[4:6]) == sorted(order[6:8]) == names[:2], "two of them back, and forward again"
    assert sorted(order[8:]) == names[4:], "and only then the others"
    looks = [(one.wave, one.kind, one.verdict) for one in world.campaigns.decision_rows]
    assert looks == [
        (0, "gate", VerdictWord.PROCEED),
        (BACK, "rehearsal", VerdictWord.PROCEED),
        (AGAIN, "rehearsal", VerdictWord.PROCEED),
        (1, "gate", VerdictWord.PROCEED),
    ]
    assert all(recompute(one) == one for one in world.campaigns.decision_rows)
    assert not world.inoperative
    assert not world.leases.rows


def refuses_to_go_back(world: World, name: str, command: UpdateFirmware):
    return broken(world, name, command) if world.version(name) == "1.1" else good(world, name, command)


async def test_a_way_back_that_fails_keeps_the_release_from_everybody_else(
    skipping: Harness, world: World
) -> None:
    names, campaign = await rehearsing(world)
    world.behaviours[names[1]] = refuses_to_go_back
    await skipping.start(campaign)
    await skipping.until_phase(campaign, P.PAUSED)

    assert "1 of 2 who rehearse made it" in world.campaigns.rows["c1"].reason
    assert {name for name, _ in world.updates()} == set(names[:4])
    await skipping.orchestrator.abort("c1", "grace", "no way back", False, "u1")
    assert await skipping.result(campaign) is P.ABORTED
    assert {world.version(name) for name in names[4:]} == {"1.0"}


async def test_canaries_that_cannot_go_back_prove_nothing(skipping: Harness, world: World) -> None:
    _names, campaign = await rehearsing(world, one_way_waiver="ada: the new key is needed")
    profile = ModelProfile(VENDOR, MODEL, declared=Declared(goes_back=False))
    world.chargers.profiles[VENDOR, MODEL] = profile
    await skipping.start(campaign)
    await skipping.until_phase(campaign, P.PAUSED)

    assert "Nobody of the first wave could rehearse" in world.campaigns.rows["c1"].reason
    assert len(world.updates()) == 4
    await skipping.orchestrator.proceed("c1", "grace", "it has a waiver", "u1")
    assert await skipping.result(campaign) is P.COMPLETED


async def test_a_rollback_after_a_rehearsal_takes_everybody_back_once(
    skipping: Harness, world: World
) -> None:
    names, campaign = await rehearsing(world)
    for name in names[4:]:
        world.behaviours[name] = falls_back
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ROLLED_BACK
    assert {world.version(name) for name in names} == {"1.0"}
    back = [row for (_, wave, _), row in world.campaigns.target_rows.items() if wave >= 1000]
    assert sorted(row.charger_id for row in back) == names[:4]
    assert {row.outcome for row in back} == {Outcome.UPDATED}


async def aborts_meanwhile(harness: Harness, world: World, names: list[str]) -> None:
    async def stopped(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if world.version(name) == "1.1":
            await harness.orchestrator.abort("c1", "grace", "enough", True, "u1")
        return await good(world, name, command)

    world.behaviours[names[0]] = stopped


async def test_an_abort_in_the_middle_of_a_rehearsal(skipping: Harness, world: World) -> None:
    names, campaign = await rehearsing(world, rehearse=1)
    await aborts_meanwhile(skipping, world, names)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ROLLED_BACK
    assert {world.version(name) for name in names} == {"1.0"}


async def test_an_end_in_a_rehearsal_judges_no_release_by_it(skipping: Harness, world: World) -> None:
    """Who does not go back says nothing of the release, whose wave has passed its gate just before."""
    ends_at = world.now + timedelta(hours=5)
    names, campaign = await rehearsing(world, end_at=ends_at)
    world.behaviours[names[1]] = refuses_to_go_back
    await skipping.start(campaign)
    await until(lambda: len(world.updates()) == 4)
    world.plug_in(names[0])

    assert await skipping.result(campaign) is P.ABORTED
    assert [(one.wave, one.kind) for one in world.campaigns.decision_rows] == [(0, "gate")]
    assert world.campaigns.rows["c1"].reason == f"its end came: {ends_at:%Y-%m-%d %H:%M} UTC"
    assert {world.version(name) for name in names[:4]} == {"1.1"}
    assert {world.version(name) for name in names[4:]} == {"1.0"}
