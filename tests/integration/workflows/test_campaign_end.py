"""A campaign's end, on a server that jumps over every wait: what stops, who moves it, what goes back."""

from datetime import timedelta

import pytest

from csms.commands import CommandAnswer, UpdateFirmware
from storage.campaign import Approval, CampaignPhase, EndBehaviour, GatePolicy, Outcome, Pace
from storage.errors import Conflict
from storage.events import FirmwareStatus
from tests.integration.workflows.harness import Harness, until
from tests.unit.activities.world import ACCEPTED, World, good

pytestmark = [pytest.mark.integration, pytest.mark.requirement("R19")]
P = CampaignPhase
HOUR = timedelta(hours=1)


async def test_who_waits_when_the_end_comes_is_left_alone(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    world.plug_in(names[3])
    plan = world.plan(end_at=world.now + HOUR, rollback_artifact_id=None)
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ABORTED
    outcomes = world.campaigns.outcomes("c1")
    assert [outcomes[name] for name in names] == [Outcome.UPDATED] * 3 + [Outcome.CANCELLED]
    assert campaign.plan.end_at <= world.now < campaign.plan.end_at + HOUR
    assert f"its end came: {campaign.plan.end_at:%Y-%m-%d %H:%M} UTC" in world.campaigns.rows["c1"].reason
    assert not world.inoperative


async def test_a_campaign_that_is_through_before_its_end_does_not_wait_for_it(
    skipping: Harness, world: World
) -> None:
    names = world.add_chargers(3)
    plan = world.plan(end_at=world.now + 24 * HOUR, rollback_artifact_id=None)
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert world.now < campaign.plan.end_at


async def test_nobody_approved_in_time(skipping: Harness, world: World) -> None:
    campaign = await world.add_campaign([world.add_chargers(3)], world.plan(end_at=world.now + HOUR))
    await skipping.orchestrator.start_campaign("c1")

    assert await skipping.result(campaign) is P.ABORTED
    assert not world.updates()


async def test_a_person_moves_the_end_that_had_paused_it(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    world.plug_in(names[3])
    ends_at = world.now + HOUR
    plan = world.plan(end_at=ends_at, end_behaviour=EndBehaviour.PAUSE, rollback_artifact_id=None)
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)
    await skipping.until_phase(campaign, P.PAUSED)
    world.unplug_car(names[3])
    await skipping.env.sleep(HOUR)
    assert len(world.updates()) == 3, "it is free, and the end has come"
    with pytest.raises(Conflict, match="Its end came at"):
        await skipping.orchestrator.resume("c1", "grace", "too-late")
    with pytest.raises(Conflict, match="ada wrote this plan"):
        await skipping.orchestrator.extend("c1", world.now + 9 * HOUR, "ada", "more time", "mine")

    await skipping.orchestrator.extend("c1", world.now + 9 * HOUR, "grace", "more time", "e1")
    await skipping.orchestrator.resume("c1", "grace", "go-on")

    assert await skipping.result(campaign) is P.COMPLETED
    assert set(world.campaigns.outcomes("c1").values()) == {Outcome.UPDATED}
    [row] = [row for row in world.audit.rows if row.action == "campaign.extended"]
    assert (row.actor, row.detail["former"], row.detail["reason"]) == (
        "grace",
        ends_at.isoformat(),
        "more time",
    )
    with pytest.raises(Conflict, match="is over"):
        await skipping.orchestrator.extend("c1", world.now + 99 * HOUR, "grace", "late", "e2")


async def test_an_end_that_comes_before_the_approvals_waits_for_a_later_one(
    skipping: Harness, world: World
) -> None:
    names = world.add_chargers(3)
    plan = world.plan(end_at=world.now + HOUR, end_behaviour=EndBehaviour.PAUSE, rollback_artifact_id=None)
    campaign = await world.add_campaign([names], plan)
    await skipping.orchestrator.start_campaign("c1")
    await skipping.env.sleep(2 * HOUR)
    yes = Approval("grace", world.now, campaign.plan_digest)
    with pytest.raises(Conflict, match="Its end came at"):
        await skipping.orchestrator.approve("c1", yes, "a1")

    await skipping.orchestrator.extend("c1", world.now + 9 * HOUR, "grace", "people were away", "e1")
    await skipping.orchestrator.approve("c1", yes, "a2")
    assert await skipping.result(campaign) is P.COMPLETED
    assert {world.version(name) for name in names} == {"1.1"}


async def test_an_end_that_was_moved_in_time_comes_later(skipping: Harness, world: World) -> None:
    names = world.add_chargers(3)
    world.plug_in(names[2])
    plan = world.plan(end_at=world.now + HOUR, rollback_artifact_id=None)
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)
    later = world.now + 5 * HOUR
    await skipping.orchestrator.extend("c1", later, "linus", "a holiday", "e1")

    assert await skipping.result(campaign) is P.ABORTED
    assert later <= world.now < later + HOUR


@pytest.mark.parametrize("behaviour", [None, EndBehaviour.ROLL_BACK_FAILED])
async def test_an_end_does_not_hide_a_bad_release(
    skipping: Harness, world: World, behaviour: EndBehaviour | None
) -> None:
    """Some went back by themselves after their proof: only a look finds that, and none came before it."""
    names = world.add_chargers(8)
    world.plug_in(names[7])
    gate = GatePolicy(max_failure_share=0.05, min_attempts=3)
    plan = world.plan(end_at=world.now + 5 * HOUR, end_behaviour=behaviour, gate=gate)
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)
    await until(lambda: list(world.campaigns.outcomes("c1").values()).count(Outcome.UPDATED) == 7)
    for name in names[:4]:
        world.run_version(name, "1.0")

    assert await skipping.result(campaign) is P.ROLLED_BACK
    assert "its end came" in world.campaigns.rows["c1"].reason
    assert {world.version(name) for name in names} == {"1.0"}


async def fails_and_runs_it(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
    """It says that it failed, and comes up with the new version all the same."""
    if world.version(name) == "1.1":
        return await good(world, name, command)
    await world.report(name, FirmwareStatus.INSTALLATION_FAILED, command.request_id)
    await world.boot(name, "1.1")
    return ACCEPTED


@pytest.mark.parametrize(
    ("behaviour", "end", "versions"),
    [
        (EndBehaviour.ROLL_BACK_FAILED, P.ABORTED, ["1.0", "1.1", "1.1", "1.1", "1.0"]),
        (EndBehaviour.ROLL_BACK, P.ROLLED_BACK, ["1.0"] * 5),
    ],
)
async def test_what_goes_back_at_the_end(
    skipping: Harness, world: World, behaviour: EndBehaviour, end: CampaignPhase, versions: list[str]
) -> None:
    names = world.add_chargers(5)
    world.behaviours[names[0]] = fails_and_runs_it
    world.plug_in(names[4])
    plan = world.plan(
        end_at=world.now + 5 * HOUR,
        end_behaviour=behaviour,
        gate=GatePolicy(max_failure_share=0.6),
        pace=Pace(max_attempts=1),
    )
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is end
    assert [world.version(name) for name in names] == versions
    assert "chargers are back on 1.0" in world.campaigns.rows["c1"].reason
