"""Campaigns from approval to the last phase, on a server that jumps over every wait."""

from dataclasses import replace
from datetime import timedelta

import pytest

from csms.commands import CommandAnswer, UpdateFirmware
from storage.campaign import (
    CampaignPhase,
    GatePolicy,
    Outcome,
    Pace,
    TargetPhase,
    VerdictWord,
    WavePlan,
)
from storage.errors import Conflict
from storage.withdrawal import Source, Withdrawal, artifact_subject
from tests.integration.workflows.harness import Harness
from tests.unit.activities.world import (
    ACCEPTED,
    World,
    broken,
    distrusts,
    falls_back,
    good,
    idle,
    mute,
)
from workflows.gate import recompute

pytestmark = pytest.mark.integration
P = CampaignPhase


async def test_a_good_release_reaches_everybody(skipping: Harness, world: World) -> None:
    names = world.add_chargers(6, sites=2)
    campaign = await world.add_campaign([names[:3], names[3:]])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert set(world.campaigns.outcomes("c1").values()) == {Outcome.UPDATED}
    assert [world.version(name) for name in names] == ["1.1"] * 6
    assert sorted(name for name, _ in world.updates()) == names
    assert world.campaigns.phases == [P.AWAITING_APPROVAL, P.RUNNING, P.COMPLETED]
    assert [decision.verdict for decision in world.campaigns.decision_rows] == [VerdictWord.PROCEED] * 2
    assert not world.leases.rows
    assert not world.inoperative
    assert set(world.leases.most_down.values()) == {1}, "a site had more than its budget down"


@pytest.mark.requirement("R54", "X17")
async def test_every_verdict_can_be_computed_again(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    campaign = await world.add_campaign([names[:3], names[3:]])
    await skipping.start(campaign)
    await skipping.until_phase(campaign, P.PAUSED)

    words = [decision.verdict for decision in world.campaigns.decision_rows]
    assert set(words) == {VerdictWord.PROCEED, VerdictWord.HOLD}
    for stored in world.campaigns.decision_rows:
        assert recompute(stored) == stored


@pytest.mark.requirement("R35", "R37", "R48", "F119")
async def test_a_bad_release_is_stopped_and_taken_back(skipping: Harness, world: World) -> None:
    names = world.add_chargers(9)
    for name in names[2:4]:
        world.behaviours[name] = falls_back
    campaign = await world.add_campaign([names[:4], names[4:]])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ROLLED_BACK
    outcomes = world.campaigns.outcomes("c1")
    assert [outcomes[name] for name in names[:4]] == [Outcome.UPDATED] * 2 + [Outcome.FAILED] * 2
    assert {outcomes[name] for name in names[4:]} == {Outcome.CANCELLED}
    assert set(world.campaigns.outcomes("c1", 1000)) == set(names[:2])
    assert {world.version(name) for name in names} == {"1.0"}
    assert {name for name, _ in world.updates()} == set(names[:4])
    rollback = [row for row in world.campaigns.directive_rows if row.wave == 1000]
    assert b'"downgrade":true' in rollback[0].envelope
    assert P.ROLLING_BACK in world.campaigns.phases


@pytest.mark.requirement("R22", "F86", "X1")
async def test_a_charging_car_defers_its_charger_only(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    world.plug_in(names[1])
    world.agenda.append((world.now + timedelta(minutes=5), lambda: world.unplug_car(names[1])))
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert set(world.campaigns.outcomes("c1").values()) == {Outcome.UPDATED}
    target = await world.campaigns.target("c1", 0, names[1])
    assert target.deferred_for_session
    assert [name for name, _ in world.updates()][-1] == names[1]


@pytest.mark.requirement("R22")
async def test_who_is_never_idle_is_deferred_at_the_waves_end(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    world.plug_in(names[1])
    campaign = await world.add_campaign([names], world.plan(pace=Pace(wave_deadline_seconds=7200)))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert world.campaigns.outcomes("c1")[names[1]] is Outcome.DEFERRED
    assert len(world.updates()) == 3


@pytest.mark.requirement("R30")
async def test_pause_holds_the_rest_back_until_resume(skipping: Harness, world: World) -> None:
    async def paused_meanwhile(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await skipping.orchestrator.pause("c1", "grace", "pause-1")
        return await good(world, name, command)

    names = world.add_chargers(4)
    world.behaviours[names[0]] = paused_meanwhile
    campaign = await world.add_campaign([names], world.plan(pace=Pace(window=1)))
    await skipping.start(campaign)
    await skipping.until_phase(campaign, P.PAUSED)
    await skipping.env.sleep(timedelta(days=9))

    assert [name for name, _ in world.updates()] == names[:1]
    await skipping.orchestrator.resume("c1", "grace", "resume-1")
    assert await skipping.result(campaign) is P.COMPLETED
    assert [name for name, _ in world.updates()] == names


@pytest.mark.requirement("R30")
@pytest.mark.parametrize("rollback", [False, True])
async def test_abort_sends_nothing_more(skipping: Harness, world: World, rollback: bool) -> None:
    async def aborted_meanwhile(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if len(world.updates()) == 2:
            await skipping.orchestrator.abort("c1", "grace", "smoke", rollback, "abort-1")
        return await good(world, name, command)

    names = world.add_chargers(6)
    world.default = aborted_meanwhile
    campaign = await world.add_campaign([names[:5], names[5:]], world.plan(2, pace=Pace(window=1)))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is (P.ROLLED_BACK if rollback else P.ABORTED)
    outcomes = world.campaigns.outcomes("c1")
    assert [outcomes[name] for name in names] == [Outcome.UPDATED] * 2 + [Outcome.CANCELLED] * 4
    assert len(world.updates()) == (4 if rollback else 2)
    assert "grace aborted it: smoke" in world.campaigns.rows["c1"].reason
    assert not world.inoperative


async def test_cancelling_the_workflow_is_an_orderly_abort(skipping: Harness, world: World) -> None:
    async def cancelled_meanwhile(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if len(world.updates()) == 1:
            await skipping.handle(campaign).cancel()
        return await good(world, name, command)

    names = world.add_chargers(4)
    world.default = cancelled_meanwhile
    campaign = await world.add_campaign([names], world.plan(pace=Pace(window=1)))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ABORTED
    assert len(world.updates()) <= 2
    assert set(world.campaigns.outcomes("c1").values()) == {Outcome.UPDATED, Outcome.CANCELLED}
    assert not world.leases.rows


@pytest.mark.requirement("R36", "R43")
async def test_too_few_attempts_hold_and_then_wait_for_a_person(skipping: Harness, world: World) -> None:
    names = world.add_chargers(5)
    campaign = await world.add_campaign([names[:2], names[2:]])
    await skipping.start(campaign)
    await skipping.until_phase(campaign, P.PAUSED)

    looks = [decision for decision in world.campaigns.decision_rows if decision.wave == 0]
    assert [look.verdict for look in looks] == [VerdictWord.HOLD] * GatePolicy().max_looks
    assert len(world.updates()) == 2
    await skipping.orchestrator.proceed("c1", "grace", "two are enough here", "proceed-1")
    assert await skipping.result(campaign) is P.COMPLETED
    assert "grace let wave w0 pass: two are enough here" in [
        row.detail.get("reason") for row in world.audit.rows
    ]


async def test_resume_after_a_hold_looks_again(skipping: Harness, world: World) -> None:
    names = world.add_chargers(2)
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)
    await skipping.until_phase(campaign, P.PAUSED)
    before = len(world.campaigns.decision_rows)
    await skipping.orchestrator.resume("c1", "grace", "resume-1")
    await skipping.until_phase(campaign, P.PAUSED)

    assert len(world.campaigns.decision_rows) > before
    looks = [decision.look for decision in world.campaigns.decision_rows]
    assert looks == sorted(set(looks)), "every look has a number of its own"


@pytest.mark.requirement("R24", "X3")
async def test_a_silent_charger_counts_as_failed(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    world.behaviours[names[0]] = mute
    strict = GatePolicy(early_stop_failures=1)
    campaign = await world.add_campaign([names], replace(world.plan(rollback_artifact_id=None), gate=strict))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ABORTED
    assert world.campaigns.outcomes("c1")[names[0]] is Outcome.SILENT
    target = await world.campaigns.target("c1", 0, names[0])
    assert "still out of service" in target.reason
    assert "1 charger failed" in world.campaigns.rows["c1"].reason


@pytest.mark.requirement("R28", "S27")
async def test_nothing_but_a_boot_with_the_version_is_success(skipping: Harness, world: World) -> None:
    names = world.add_chargers(3)
    world.behaviours[names[0]] = idle
    plan = world.plan(pace=Pace(max_attempts=1), gate=GatePolicy(max_failure_share=0.5))
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert world.campaigns.outcomes("c1")[names[0]] is Outcome.FAILED


@pytest.mark.requirement("S38")
async def test_a_signature_that_does_not_hold_on_a_charger_halts_everything(
    skipping: Harness, world: World
) -> None:
    names = world.add_chargers(5)
    world.behaviours[names[1]] = distrusts
    campaign = await world.add_campaign([names[:4], names[4:]], world.plan(2, pace=Pace(window=1)))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ABORTED
    assert [name for name, _ in world.updates()] == names[:2]
    assert world.campaigns.outcomes("c1")[names[1]] is Outcome.FAILED
    assert world.version(names[0]) == "1.1", "nothing more is sent, not even the way back"
    [row] = world.withdrawals.rows.values()
    assert (row.subject, row.withdrawn_by) == (f"artifact:{campaign.plan.artifact_id}", f"charger/{names[1]}")


@pytest.mark.requirement("S36", "S66")
async def test_what_is_withdrawn_in_the_middle_of_a_wave_goes_to_nobody_else(
    skipping: Harness, world: World
) -> None:
    async def withdrawn_meanwhile(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        subject = artifact_subject(campaign.plan.artifact_id)
        await world.withdrawals.add([Withdrawal(subject, "stolen key", Source.PERSON, "ada", world.now)])
        return await good(world, name, command)

    names = world.add_chargers(6)
    world.behaviours[names[1]] = withdrawn_meanwhile
    campaign = await world.add_campaign([names[:4], names[4:]], world.plan(2, pace=Pace(window=1)))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ABORTED
    assert [name for name, _ in world.updates()] == names[:2]
    assert world.campaigns.outcomes("c1")[names[1]] is Outcome.UPDATED
    assert not world.inoperative, "who was to be next is in service again"


@pytest.mark.requirement("S38")
async def test_a_security_event_about_the_signature_halts_as_well(skipping: Harness, world: World) -> None:
    async def reports(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await world.security_event(name, "InvalidFirmwareSignature")
        return ACCEPTED

    names = world.add_chargers(4)
    world.behaviours[names[1]] = reports
    campaign = await world.add_campaign([names], world.plan(pace=Pace(window=1)))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ABORTED
    assert [name for name, _ in world.updates()] == names[:2]


@pytest.mark.requirement("S23", "S38")
async def test_a_proof_that_does_not_hold_here_halts_everything(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    world.refused_proofs.add(names[1])
    campaign = await world.add_campaign([names], world.plan(pace=Pace(window=1)))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ABORTED
    assert [name for name, _ in world.updates()] == names[:1]
    assert "Verification failed" in world.campaigns.rows["c1"].reason


@pytest.mark.requirement("R35")
async def test_early_stop_is_bounded_over_all_shards(skipping: Harness, world: World) -> None:
    names = world.add_chargers(60)
    world.default = falls_back
    plan = world.plan(pace=Pace(shard_size=15, window=1), rollback_artifact_id=None)
    campaign = await world.add_campaign([names], replace(plan, gate=GatePolicy(early_stop_failures=3)))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ABORTED
    assert 3 <= len(world.updates()) <= 20, "four shards, one in flight each, and the stop on its way"
    assert {target.phase for target in world.campaigns.target_rows.values()} == {TargetPhase.DONE}


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.requirement("R35", "R37")
async def test_failures_beyond_chance_stop_a_wave_that_names_no_number(
    skipping: Harness, world: World, shards: int
) -> None:
    names = world.add_chargers(60)
    world.default = falls_back
    plan = world.plan(pace=Pace(shard_size=60 // shards, window=1), rollback_artifact_id=None)
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ABORTED
    assert 2 <= len(world.updates()) <= 20
    assert "beyond chance" in world.campaigns.rows["c1"].reason


@pytest.mark.requirement("R25", "R35")
async def test_a_failure_that_is_cured_is_counted_over_shards_no_more(
    skipping: Harness, world: World
) -> None:
    names = world.add_chargers(4)

    async def second_time(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        return await (good if len(world.updates(name)) > 1 else broken)(world, name, command)

    world.behaviours[names[0]] = second_time
    plan = world.plan(pace=Pace(shard_size=2), gate=GatePolicy(early_stop_failures=2))
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    events = (await skipping.history("campaign/c1/w0")).events
    told = [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert told == ["shard_failed", "shard_cured"]


@pytest.mark.requirement("R10", "R12", "R16")
async def test_planned_start_soak_and_approval_between_waves(skipping: Harness, world: World) -> None:
    names = world.add_chargers(6)
    start = world.now + timedelta(days=2)
    waves = (WavePlan("canary", 0.5, soak_seconds=86400), WavePlan("rest", 0.5, needs_approval=True))
    campaign = await world.add_campaign(
        [names[:3], names[3:]], replace(world.plan(), waves=waves, start_at=start)
    )
    await skipping.start(campaign)
    assert not world.updates()
    await skipping.until_phase(campaign, P.RUNNING, minutes=60)
    assert world.now >= start
    await skipping.until_phase(campaign, P.AWAITING_APPROVAL, minutes=60)
    assert world.now >= start + timedelta(days=1)
    assert len(world.updates()) == 3

    await skipping.approve(campaign, "grace")
    assert await skipping.result(campaign) is P.COMPLETED
    looks = [(decision.wave, decision.look) for decision in world.campaigns.decision_rows]
    assert looks == [(0, 1), (0, 2), (1, 1)], "after its soak the canary is judged again"


@pytest.mark.requirement("R31")
async def test_a_skipped_charger_is_left_alone(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    world.plug_in(names[1])
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)
    await skipping.env.sleep(timedelta(hours=1))
    await skipping.orchestrator.skip_charger("c1", names[1], "grace", "it is being moved", "skip-1")
    with pytest.raises(Conflict, match="done"):
        await skipping.orchestrator.skip_charger("c1", names[0], "grace", "too late", "skip-2")

    assert await skipping.result(campaign) is P.COMPLETED
    assert world.campaigns.outcomes("c1")[names[1]] is Outcome.SKIPPED
    assert names[1] not in [name for name, _ in world.updates()]
