"""What people ask of a campaign, on the real server: validators, four eyes, update ids."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from csms.commands import CommandAnswer, UpdateFirmware
from storage.artifact import ArtifactPhase, SignOff
from storage.campaign import (
    Approval,
    CampaignPhase,
    Directive,
    GatePolicy,
    Outcome,
    SignedDirective,
)
from storage.errors import Conflict
from tests.integration.workflows.harness import QUICK, Harness, until
from tests.unit.activities.world import START, World, good

pytestmark = pytest.mark.integration
P = CampaignPhase
Signing = Callable[[Directive, int], Awaitable[SignedDirective]]


async def reached(world: World, phase: CampaignPhase) -> None:
    await until(lambda: world.campaigns.rows["c1"].phase is phase)


@pytest.mark.requirement("R11", "R13")
async def test_four_eyes_over_exactly_this_plan(real: Harness, world: World) -> None:
    names = world.add_chargers(3)
    plan = world.plan(pace=QUICK, required_approvals=2)
    campaign = await world.add_campaign([names], plan)
    await real.orchestrator.start_campaign("c1")

    with pytest.raises(Conflict, match="ada wrote this plan; somebody else has to approve it"):
        await real.approve(campaign, "ada")
    with pytest.raises(Conflict, match="another plan or cohort"):
        await real.approve(campaign, "grace", digest="e" * 64)
    await real.approve(campaign, "grace")
    with pytest.raises(Conflict, match="grace approved already"):
        await real.orchestrator.approve("c1", Approval("grace", START, campaign.plan_digest), "another-id")
    assert not world.updates(), "one of two approvals is not enough"
    await real.approve(campaign, "linus")

    assert await real.result(campaign) is P.COMPLETED
    assert [approval.actor for approval in world.campaigns.rows["c1"].approvals] == ["grace", "linus"]
    assert all(b"grace" in row.envelope for row in world.campaigns.directive_rows)


async def test_a_signed_yes_is_renewed_while_the_campaign_runs(real: Harness, world: World) -> None:
    pace = replace(QUICK, settle_seconds=60)
    plan = world.plan(pace=pace, rollback_artifact_id=None)
    campaign = await world.add_campaign([world.add_chargers(3)], plan)
    await real.orchestrator.start_campaign("c1")
    await real.approve(campaign, "grace")
    await reached(world, P.RUNNING)
    await real.orchestrator.pause("c1", "linus", "hold-it")
    given = Approval("grace", START, campaign.plan_digest, "signed anew")

    await real.orchestrator.approve("c1", given, "renewal")

    assert world.campaigns.rows["c1"].approvals == (given,)
    for refused in (
        replace(given, actor="ada"),
        replace(given, plan_digest="e" * 64),
        replace(given, evidence=""),
    ):
        with pytest.raises(Conflict):
            await real.orchestrator.approve("c1", refused, repr(refused)[:100])
    assert world.campaigns.rows["c1"].approvals == (given,)
    await real.handle(campaign).terminate()


async def test_a_repeated_request_acts_once(real: Harness, world: World) -> None:
    names = world.add_chargers(3)
    campaign = await world.add_campaign([names], world.plan(pace=QUICK, required_approvals=2))
    await real.orchestrator.start_campaign("c1")
    approval = Approval("grace", START, campaign.plan_digest)

    for _ in range(3):
        await real.orchestrator.approve("c1", approval, "the-same-key")
        await real.orchestrator.start_campaign("c1")

    assert len(world.campaigns.rows["c1"].approvals) == 1
    await real.handle(campaign).terminate()


async def test_what_a_phase_does_not_allow_is_refused_with_what_is_possible(
    real: Harness, world: World
) -> None:
    names = world.add_chargers(3)
    campaign = await world.add_campaign([names], world.plan(pace=QUICK, rollback_artifact_id=None))
    await real.orchestrator.start_campaign("c1")
    await reached(world, P.AWAITING_APPROVAL)

    with pytest.raises(Conflict, match="'pause' is not possible while 'awaiting_approval'"):
        await real.orchestrator.pause("c1", "grace", "u1")
    with pytest.raises(Conflict, match="names no artifact to go back to"):
        await real.orchestrator.abort("c1", "grace", "no", True, "u2")
    with pytest.raises(Conflict, match="'proceed' is not possible"):
        await real.orchestrator.proceed("c1", "grace", "because", "u3")
    await real.orchestrator.abort("c1", "grace", "wrong plan", False, "u4")
    assert await real.result(campaign) is P.ABORTED
    with pytest.raises(Conflict, match="is over"):
        await real.orchestrator.pause("c1", "grace", "u5")


async def test_a_gate_is_passed_by_with_a_reason_only(real: Harness, world: World) -> None:
    names = world.add_chargers(2)
    gate = GatePolicy(hold_seconds=0.05, max_looks=2)
    campaign = await world.add_campaign([names], world.plan(pace=QUICK, gate=gate))
    await real.start(campaign)
    await reached(world, P.PAUSED)

    with pytest.raises(Conflict, match="reason"):
        await real.orchestrator.proceed("c1", "grace", " ", "u1")
    await real.orchestrator.proceed("c1", "grace", "two are all there are", "u2")
    assert await real.result(campaign) is P.COMPLETED
    told = (await world.campaigns.get("c1")).reason
    assert "1 of them by a person's word: grace let wave" in told
    assert told.endswith("pass: two are all there are")


@pytest.mark.requirement("R13", "R43")
async def test_only_a_gate_that_looked_and_held_is_passed_by_and_not_by_the_author(
    real: Harness, world: World
) -> None:
    names = world.add_chargers(2)
    gate = GatePolicy(max_looks=1)
    pace = replace(QUICK, settle_seconds=3.0)
    campaign = await world.add_campaign([names], world.plan(pace=pace, gate=gate))
    await real.start(campaign)
    await until(lambda: set(world.campaigns.outcomes("c1").values()) == {Outcome.UPDATED})

    with pytest.raises(Conflict, match="No gate is holding"):
        await real.orchestrator.proceed("c1", "grace", "it will be fine", "u1")
    await reached(world, P.PAUSED)
    with pytest.raises(Conflict, match="ada wrote this plan"):
        await real.orchestrator.proceed("c1", "ada", "it is mine", "u2")
    await real.orchestrator.proceed("c1", "grace", "two are all there are", "u3")
    assert await real.result(campaign) is P.COMPLETED


@pytest.mark.requirement("R30")
async def test_abort_while_some_are_in_flight_awaits_them_and_sends_nothing_more(
    real: Harness, world: World
) -> None:
    in_flight = asyncio.Event()
    release = asyncio.Event()

    async def slow(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if len(world.updates()) == 3:
            in_flight.set()
        await release.wait()
        return await good(world, name, command)

    names = world.add_chargers(10)
    world.default = slow
    campaign = await world.add_campaign([names], world.plan(pace=replace(QUICK, window=3)))
    await real.start(campaign)
    async with asyncio.timeout(30):
        await in_flight.wait()
    await real.orchestrator.abort("c1", "grace", "smoke", False, "u1")
    release.set()

    assert await real.result(campaign) is P.ABORTED
    assert len(world.updates()) == 3
    outcomes = [outcome.value for outcome in world.campaigns.outcomes("c1").values() if outcome]
    assert sorted(outcomes) == ["cancelled"] * 7 + ["updated"] * 3
    assert not world.leases.rows
    assert not world.inoperative


async def test_publication_waits_for_two_distinct_keys(real: Harness, world: World) -> None:
    artifact = world.add_artifact("2.0", 5, ArtifactPhase.UPLOADED)
    await real.orchestrator.start_publication(artifact.artifact_id)
    await real.orchestrator.start_publication(artifact.artifact_id)
    await until(lambda: world.artifacts.rows[artifact.artifact_id].phase is ArtifactPhase.AWAITING_SIGNATURES)
    staged = world.artifacts.staged_rows[artifact.artifact_id]
    sign = SignOff(artifact.artifact_id, staged.sha256, "k1", "00", "ada", START)

    with pytest.raises(Conflict, match="does not count"):
        await real.orchestrator.sign_off(replace(sign, keyid="k9"))
    with pytest.raises(Conflict, match="not what is staged"):
        await real.orchestrator.sign_off(replace(sign, staged_sha256="0" * 64))
    with pytest.raises(Conflict, match="does not hold"):
        await real.orchestrator.sign_off(replace(sign, signature="ff"))
    await real.orchestrator.sign_off(sign)
    with pytest.raises(Conflict, match="signed already"):
        await real.orchestrator.sign_off(sign)
    await real.orchestrator.sign_off(replace(sign, keyid="k2", signer="grace"))

    handle = real.client.get_workflow_handle(f"artifact/{artifact.artifact_id}", result_type=ArtifactPhase)
    assert await handle.result() is ArtifactPhase.RELEASED
    assert world.artifacts.rows[artifact.artifact_id].phase is ArtifactPhase.RELEASED


@pytest.mark.requirement("S16")
async def test_another_release_voids_the_signatures(real: Harness, world: World) -> None:
    artifact = world.add_artifact("2.0", 5, ArtifactPhase.UPLOADED)
    world.stale_publications = 1
    await real.orchestrator.start_publication(artifact.artifact_id)
    row = world.artifacts.rows
    for round_ in (1, 2):
        await until(
            lambda round_=round_: (
                world._stagings == round_  # type: ignore[misc]
                and row[artifact.artifact_id].phase is ArtifactPhase.AWAITING_SIGNATURES
            )
        )
        staged = world.artifacts.staged_rows[artifact.artifact_id]
        for key in ("k1", "k2"):
            await real.orchestrator.sign_off(
                SignOff(artifact.artifact_id, staged.sha256, key, "00", f"owner of {key}", START)
            )
    await until(lambda: row[artifact.artifact_id].phase is ArtifactPhase.RELEASED)
    assert len({row.staged_sha256 for row in world.artifacts.sign_off_rows}) == 2


async def test_an_upload_with_problems_is_rejected_with_all_of_them(real: Harness, world: World) -> None:
    artifact = replace(world.add_artifact("2.0", 5, ArtifactPhase.UPLOADED), length=0)
    world.artifacts.rows[artifact.artifact_id] = artifact
    await real.orchestrator.start_publication(artifact.artifact_id)
    handle = real.client.get_workflow_handle(f"artifact/{artifact.artifact_id}", result_type=ArtifactPhase)

    assert await handle.result() is ArtifactPhase.REJECTED
    assert "vendor signature" in world.artifacts.rows[artifact.artifact_id].reason


async def test_housekeeping_sweeps_and_refreshes_on_a_schedule(real: Harness, world: World) -> None:
    from storage.charger import SiteLease
    from workflows.client import HOUSEKEEPING_SCHEDULE

    world.leases.rows["CP9"] = SiteLease("CP9", "s", "charger/CP9", "update", START)
    await real.orchestrator.ensure_schedules()
    await real.orchestrator.ensure_schedules()
    await real.client.get_schedule_handle(HOUSEKEEPING_SCHEDULE).trigger()
    await until(lambda: "lease.expired" in world.audit.actions())
    assert not world.leases.rows


@pytest.mark.requirement("R30")
async def test_an_abort_does_not_wait_for_a_signer_that_is_away(real: Harness, world: World) -> None:
    asked, back = asyncio.Event(), asyncio.Event()
    world.sign_directive = away(world, asked, back)  # type: ignore[method-assign]
    names = world.add_chargers(3)
    campaign = await world.add_campaign([names], world.plan(pace=QUICK))
    await real.start(campaign)
    async with asyncio.timeout(30):
        await asked.wait()

    await real.orchestrator.abort("c1", "grace", "the signer is away", False, "u1")
    assert await real.result(campaign, seconds=20) is P.ABORTED
    assert not world.updates()
    back.set()


async def test_a_wave_ends_in_time_although_the_signer_is_away(real: Harness, world: World) -> None:
    asked, back = asyncio.Event(), asyncio.Event()
    world.sign_directive = away(world, asked, back)  # type: ignore[method-assign]
    names = world.add_chargers(3)
    pace = replace(QUICK, wave_deadline_seconds=2.0)
    gate = GatePolicy(hold_seconds=0.05, max_looks=2)
    campaign = await world.add_campaign([names], world.plan(pace=pace, gate=gate))
    await real.start(campaign)

    await reached(world, P.PAUSED)
    assert set(world.campaigns.outcomes("c1").values()) == {Outcome.DEFERRED}
    back.set()
    await real.handle(campaign).terminate()


def away(world: World, asked: asyncio.Event, back: asyncio.Event) -> Signing:
    """A signer that takes an order and does not answer before it is back."""
    real_signer = world.sign_directive

    async def sign(directive: Directive, shard: int) -> SignedDirective:
        asked.set()
        await back.wait()
        return await real_signer(directive, shard)

    return sign
