"""Rollbacks that do not bring everybody back at once, on a server that jumps over every wait."""

from dataclasses import replace

import pytest

from csms.commands import CommandAnswer, UpdateFirmware
from storage.campaign import ROLLBACK_WAVE_BASE, CampaignPhase, Decision, GatePolicy, Outcome
from storage.errors import Conflict
from storage.standing import Key, Standing, stand, standing_of
from tests.integration.workflows.harness import Harness
from tests.unit.activities.world import (
    World,
    broken,
    falls_after_rollback,
    falls_back,
    good,
    idle,
    loops,
)
from workflows.campaign import ROLLBACK_ROUNDS

pytestmark = pytest.mark.integration
P = CampaignPhase


@pytest.mark.requirement("R49")
async def test_a_rollback_that_fails_ends_in_failed(skipping: Harness, world: World) -> None:
    async def only_forward(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        return await (good if world.sent_version(name) == "1.1" else broken)(world, name, command)

    names = world.add_chargers(4)
    world.behaviours |= dict.fromkeys(names[:3], only_forward) | {names[3]: broken}
    strict = GatePolicy(max_failure_share=0.001)
    campaign = await world.add_campaign([names], replace(world.plan(), gate=strict))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.FAILED
    assert "0 of 3 updated chargers are back" in world.campaigns.rows["c1"].reason


@pytest.mark.requirement("R48", "R49")
@pytest.mark.parametrize("falls", [1, 3])
async def test_who_falls_back_after_its_rollback_goes_back_again_or_is_named(
    skipping: Harness, world: World, falls: int
) -> None:
    names = world.add_chargers(9)
    world.behaviours |= dict.fromkeys(names[2:4], falls_back)
    falls_after_rollback(world, names[0], falls)
    campaign = await world.add_campaign([names[:4], names[4:]])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is (P.ROLLED_BACK if falls == 1 else P.FAILED)
    reason = world.campaigns.rows["c1"].reason
    assert world.version(names[0]) == ("1.0" if falls == 1 else "1.1")
    if falls == 1:
        assert "2 chargers are back on 1.0" in reason, "one of them twice"
        return
    assert f"rollback: {names[0]} runs 1.1, and needs a person" in reason
    last = await world.campaigns.target("c1", ROLLBACK_WAVE_BASE + ROLLBACK_ROUNDS, names[0])
    assert (last.outcome, last.dispatched_at) == (Outcome.CANCELLED, None)
    key = Key(last.phase, last.outcome, back=True, sent=False)
    assert standing_of(key, P.FAILED) is Standing.LEFT_BEHIND


@pytest.mark.requirement("R29", "R48", "F119")
@pytest.mark.parametrize("end", ["rolled back", "completed", "opened", "away"])
async def test_who_loops_and_falls_back_by_itself_has_failed_with_its_boots(
    skipping: Harness, world: World, end: str
) -> None:
    names = world.add_chargers(9)
    looper = names[0]
    loops(world, looper, tampered=end == "opened")
    plan, waves = world.plan(2), [names[:4], names[4:]]
    if end == "completed":
        policy = GatePolicy(max_failure_share=0.9, min_attempts=1, max_excess_offline_share=1.0)
        plan, waves = replace(world.plan(1), gate=policy), [names]
    else:
        world.behaviours |= dict.fromkeys(names[2:4], falls_back)
    if end == "away":
        leaves_at_the_gate(world, looper)
    campaign = await world.add_campaign(waves, plan)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is (P.COMPLETED if end == "completed" else P.ROLLED_BACK)
    target = await world.campaigns.target("c1", 0, looper)
    stood = stand(world.campaigns.rows["c1"], target, {})
    if end in ("opened", "away"):
        assert (target.outcome, target.fell_back_to) == (Outcome.UPDATED, None), (
            "nobody knows that it fell back"
        )
        assert stood.standing is Standing.LEFT_BEHIND
        return
    assert (target.outcome, target.fell_back_to) == (Outcome.FAILED, "1.0")
    assert target.reason == "boot loop: it came back 3 times with 1.1, and fell back to 1.0 by itself"
    assert stood.standing is Standing.FAILED
    (entry,) = [row for row in world.audit.rows if row.action == "campaign.charger_fell_back"]
    assert (entry.detail["charger_id"], entry.detail["reason"]) == (looper, target.reason)
    assert {row.outcome for row in world.campaigns.target_rows.values()} >= {Outcome.UPDATED}


def leaves_at_the_gate(world: World, charger_id: str) -> None:
    """It is heard of no more once its wave was judged."""
    record = world.campaigns.add_decision

    async def and_goes(decision: Decision) -> None:
        await record(decision)
        world.unplug(charger_id)

    world.campaigns.add_decision = and_goes  # type: ignore[method-assign]


@pytest.mark.requirement("R30", "R48")
async def test_a_second_abort_with_rollback_does_not_stop_the_first(skipping: Harness, world: World) -> None:
    async def hangs_on_the_way_back(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        return await (good if world.sent_version(name) == "1.1" else idle)(world, name, command)

    names = world.add_chargers(9)
    world.behaviours |= dict.fromkeys(names[:2], hangs_on_the_way_back) | dict.fromkeys(
        names[2:4], falls_back
    )
    await skipping.start(campaign := await world.add_campaign([names[:4], names[4:]]))
    await skipping.until_phase(campaign, P.ROLLING_BACK, minutes=15)

    with pytest.raises(Conflict, match="takes its chargers back already"):
        await skipping.orchestrator.abort("c1", "linus", "me, too", True, "abort-2")
    assert world.campaigns.rows["c1"].phase is P.ROLLING_BACK
    await skipping.orchestrator.abort("c1", "linus", "leave them", False, "abort-3")
    assert await skipping.result(campaign) is P.ABORTED
