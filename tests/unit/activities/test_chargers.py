from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.artifacts import ArtifactActivities, ArtifactPhaseChange
from activities.chargers import MOST_AT_ONCE, ChargerActivities, ReconcileInput
from activities.conclusion import ConcludeInput
from activities.fleet import FleetActivities, ShardQuery
from activities.signer import DirectiveOrder, SignerActivities
from storage.artifact import ArtifactPhase, SignOff
from storage.campaign import CampaignPhase, Outcome, TargetPhase
from storage.charger import OutOfService, SiteLease
from storage.events import FirmwareStatus
from tests.unit.activities.world import START, World

CP = "CP000"


@pytest.fixture
async def world() -> World:
    world = World()
    names = world.add_chargers(2)
    await world.add_campaign([names])
    return world


async def test_reconciliation_reads_everything_since_the_command(world: World) -> None:
    await world.campaigns.move_target("c1", 0, CP, TargetPhase.DISPATCHED, "", at=START, request_id=7)
    await world.boot(CP, "1.0", signal=False)
    world.now = START + timedelta(minutes=5)
    await world.report(CP, FirmwareStatus.INSTALLED, 7)
    await world.boot(CP, "1.1", signal=False)

    since = START + timedelta(minutes=1)
    facts = await ChargerActivities(world.stores).reconcile_update(ReconcileInput("c1", 0, CP, since))

    assert [(one.booted, one.version, one.status) for one in facts.sightings] == [
        (False, None, FirmwareStatus.INSTALLED),
        (True, "1.1", None),
    ]
    assert (facts.request_id, facts.online, facts.route) == (7, True, ("node-1", "boot-1", 1))


@pytest.mark.requirement("S38")
async def test_security_events_about_the_signature_are_found_and_others_are_not(world: World) -> None:
    for name in ("ResetOrReboot", "InvalidFirmwareSigningCertificate"):
        await world.security_event(CP, name)

    facts = await ChargerActivities(world.stores).reconcile_update(ReconcileInput("c1", 0, CP, START))

    assert [one.status for one in facts.sightings] == [FirmwareStatus.INVALID_SIGNATURE]


async def test_books_of_a_postponed_charger(world: World) -> None:
    world.leases.rows[CP] = SiteLease(CP, "site-0", f"charger/{CP}", "update", START)
    end = ConcludeInput("c1", 0, CP, 1, None, "a car is there", for_session=True)
    await ChargerActivities(world.stores).close_update(end)

    target = await world.campaigns.target("c1", 0, CP)
    assert (target.phase, target.reason, target.deferred_for_session) == (
        TargetPhase.WAITING,
        "a car is there",
        True,
    )
    assert not world.leases.rows
    assert world.audit.actions() == ["update.postponed"]


@pytest.mark.requirement("X2")
async def test_a_lease_of_other_work_is_never_released(world: World) -> None:
    world.leases.rows[CP] = SiteLease(CP, "site-0", "another", "certificate", START)
    await ChargerActivities(world.stores).close_update(ConcludeInput("c1", 0, CP, 1, Outcome.UPDATED, "ok"))
    assert CP in world.leases.rows


async def test_the_first_outcome_stands(world: World) -> None:
    activities = ChargerActivities(world.stores)
    await activities.close_update(ConcludeInput("c1", 0, CP, 1, Outcome.UPDATED, "first"))
    await activities.close_update(ConcludeInput("c1", 0, CP, 1, Outcome.FAILED, "second"))
    await activities.close_update(ConcludeInput("c1", 0, CP, 1, None, "third"))
    target = await world.campaigns.target("c1", 0, CP)
    assert (target.phase, target.outcome, target.reason) == (TargetPhase.DONE, Outcome.UPDATED, "first")


@pytest.mark.requirement("S24", "S25")
async def test_directives_name_their_shard_and_carry_the_approvals(world: World) -> None:
    await world.approve("c1")
    signed = []
    real = world.sign_directive

    async def sign(directive, shard):
        signed.append(directive)
        return await real(directive, shard)

    world.sign_directive = sign  # type: ignore[method-assign]
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)
    order = DirectiveOrder("c1", 0, 0, 1, 1, 1, 3600.0)
    first = await signer.sign_directive(order)
    again = await signer.sign_directive(order)

    assert first == again == "c1.0.0.1"
    [directive] = signed
    assert directive.charger_ids == ("CP001",)
    assert directive.not_before < START < directive.not_after
    assert [approval.actor for approval in directive.approvals] == ["grace", "hedy"]
    assert not directive.downgrade


@pytest.mark.requirement("S16")
async def test_a_sign_off_over_other_bytes_is_refused(world: World) -> None:
    artifact = world.add_artifact("2.0", 3, ArtifactPhase.UPLOADED)
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)
    staged = await signer.stage_release(artifact.artifact_id)
    with pytest.raises(ApplicationError, match="not what is staged"):
        await signer.check_sign_off(SignOff(artifact.artifact_id, "0" * 64, "k1", "00", "ada", START))

    assert (
        await signer.check_sign_off(SignOff(artifact.artifact_id, staged.sha256, "k1", "00", "ada", START))
        == 1
    )
    assert "artifact.signed" in world.audit.actions()


@pytest.mark.requirement("S16")
async def test_who_publishes_hears_whose_staged_version_is_taken_now(world: World) -> None:
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)
    first, other, out = [
        world.add_artifact(version, counter, phase).artifact_id
        for version, counter, phase in (
            ("2.0", 3, ArtifactPhase.PUBLISHING),
            ("2.1", 4, ArtifactPhase.AWAITING_SIGNATURES),
            ("1.9", 2, ArtifactPhase.RELEASED),
        )
    ]
    assert await signer.compare_staged(other) == "Nothing was staged"
    for one in (out, other, first):
        await signer.stage_release(one)
    assert await signer.compare_staged(other) == ""

    assert (await signer.publish_release(first)).overtaken == (other,)
    assert await signer.compare_staged(other) == "Version 3 of voltworks was published first"


@pytest.mark.requirement("S41")
async def test_bytes_that_hash_to_something_else_are_a_problem(world: World) -> None:
    artifact = world.add_artifact("2.0", 3, ArtifactPhase.UPLOADED)
    world.artifacts.rows["0" * 64] = artifact
    facts = await ArtifactActivities(world.stores, world).inspect_artifact("0" * 64)
    assert "hash to" in facts.problems[0]


async def test_artifact_phases_are_on_record(world: World) -> None:
    artifact = world.add_artifact("2.0", 3, ArtifactPhase.UPLOADED)
    change = ArtifactPhaseChange(
        artifact.artifact_id, ArtifactPhase.RELEASED, "released", {"role_version": 4}
    )
    await ArtifactActivities(world.stores, world).set_artifact_phase(change)
    assert world.audit.rows[-1].detail == {"reason": "released", "role_version": 4}
    assert world.artifacts.rows[artifact.artifact_id].phase is ArtifactPhase.RELEASED


async def test_swept_leases_are_on_record(world: World) -> None:
    world.leases.rows[CP] = SiteLease(CP, "site-0", f"charger/{CP}", "update", START)
    assert await ChargerActivities(world.stores).sweep_leases() == 1
    assert world.audit.rows[-1].subject == f"charger/{CP}"


@pytest.mark.requirement("X3")
async def test_those_that_restart_for_ever_keep_nobody_else_from_going_back(world: World) -> None:
    names = world.add_chargers(MOST_AT_ONCE + 2)
    for number, name in enumerate(names):
        since = START + timedelta(seconds=number)
        await world.out_of_service.add(OutOfService(name, "site-0", (), since, "update", steady_seconds=60.0))
        if name != names[-1]:
            await world.boot(name, "1.0")
    found = await ChargerActivities(world.stores).find_stranded()
    assert [one.charger_id for one in found] == [names[-1]]


@pytest.mark.requirement("X3")
async def test_stranded_chargers_are_found_but_none_in_the_middle_of_an_install(world: World) -> None:
    for name in (CP, "CP001"):
        site = world.chargers.rows[name].charger.site_id
        world.out_of_service.rows[name] = OutOfService(name, site, (), START, "an update")
    await world.report("CP001", FirmwareStatus.INSTALLING, 7)
    activities = ChargerActivities(world.stores)
    assert [one.charger_id for one in await activities.find_stranded()] == [CP]

    await world.boot("CP001", "1.0")
    world.unplug(CP)
    assert [one.charger_id for one in await activities.find_stranded()] == ["CP001"]
    world.leases.rows["CP001"] = SiteLease("CP001", "site-1", "charger/CP001", "update", START)
    assert await activities.find_stranded() == ()


@pytest.mark.requirement("R27")
async def test_a_charger_that_fails_in_campaign_after_campaign_is_set_apart_and_the_next_look_says_so(
    world: World,
) -> None:
    await world.add_campaign([[CP]], campaign_id="c2")
    for campaign, attempt in (("c1", 2), ("c2", 1)):
        await world.campaigns.move_target(
            campaign, 0, CP, TargetPhase.DISPATCHED, "", at=START, attempt=attempt, request_id=attempt
        )
        end = ConcludeInput(campaign, 0, CP, attempt, Outcome.FAILED, "it reported InstallationFailed")
        for _ in range(2):  # repeated, as after a crash
            await ChargerActivities(world.stores).close_update(end)

    penalty = world.penalties.rows[CP]
    assert (penalty.failures, penalty.times) == (3, 1)
    assert world.audit.actions().count("charger.set_apart") == 1
    await world.add_campaign([[CP, "CP001"]], campaign_id="c3")
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c3", 0, 0, 2))
    apart = [facts.situations[entry.situation].set_apart for entry in facts.entries]
    assert "3 attempts in 2 campaigns failed" in apart[0]
    assert apart[1] == ""


@pytest.mark.requirement("R27")
async def test_a_campaign_that_was_stopped_sets_nobody_apart(world: World) -> None:
    await world.campaigns.set_phase("c1", CampaignPhase.ABORTING, "bad", START)
    await world.campaigns.move_target("c1", 0, CP, TargetPhase.DISPATCHED, "", at=START, attempt=5)
    end = ConcludeInput("c1", 0, CP, 5, Outcome.SILENT, "it did not come back")
    await ChargerActivities(world.stores).close_update(end)
    assert not world.penalties.rows


@pytest.mark.requirement("X3")
async def test_a_charger_that_says_nothing_for_hours_is_not_installing_any_more(world: World) -> None:
    world.out_of_service.rows[CP] = OutOfService(CP, "site-0", (), START, "an update")
    await world.report(CP, FirmwareStatus.DOWNLOADING, 7)
    activities = ChargerActivities(world.stores)
    assert await activities.find_stranded() == ()
    world.now += timedelta(hours=7)
    assert [one.charger_id for one in await activities.find_stranded()] == [CP]
