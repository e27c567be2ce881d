# long-file: every look at many chargers, as the module has them
"""What is measured of a fleet, and how targets are moved and closed."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic_core import to_json
from temporalio.exceptions import ApplicationError

from activities.availability import STILL_OUT
from activities.campaigns import (
    CampaignActivities,
    CloseInput,
    PhaseChange,
    RehearsalInput,
    RollbackFacts,
    RollbackInput,
    SkipInput,
)
from activities.conclusion import ConcludeInput, settled
from activities.facts import Situation, group_of, situation_of
from activities.fleet import AttemptsQuery, FleetActivities, ShardQuery, TargetMoves, WaveQuery
from storage.campaign import (
    FORWARD_AGAIN_WAVE,
    REHEARSAL_WAVE,
    CampaignPhase,
    Outcome,
    Target,
    TargetPhase,
)
from storage.charger import DownloadTicket, ModelProfile, OutOfService, SiteLease
from storage.twin import FirmwareSection, TwinState
from tests.unit.activities.world import MODEL, START, VENDOR, World


@pytest.fixture
async def world() -> World:
    world = World()
    names = world.add_chargers(6, sites=2)
    await world.add_campaign([names[:3], names[3:]], world.plan(2))
    return world


async def measure(world: World, wave: int = 0) -> dict[str, Situation]:
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", wave, 0, 500))
    return {entry.charger_id: facts.situations[entry.situation] for entry in facts.entries}


async def test_alike_chargers_share_one_situation(world: World) -> None:
    world.plug_in("CP001")
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 0, 0, 500))

    assert [entry.charger_id for entry in facts.entries] == ["CP000", "CP001", "CP002"]
    assert len(facts.situations) == 2
    assert {site.site_id: (site.down, site.max_down) for site in facts.sites} == {
        "site-0": (0, 1),
        "site-1": (0, 1),
    }
    assert facts.route(facts.entries[0]) == ("node-1", "boot-1", 1)
    assert facts.route(facts.entries[1]) is None, "a busy charger's route is not looked up"


async def test_five_hundred_chargers_fit_a_small_payload() -> None:
    world = World()
    names = world.add_chargers(500, sites=100)
    await world.add_campaign([names])
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 0, 0, 500))

    assert len(to_json(facts)) < 40_000
    assert len(json.loads(to_json(facts))["situations"]) == 1


async def test_done_targets_are_measured_no_more(world: World) -> None:
    await world.campaigns.finish_target("c1", 0, "CP000", Outcome.UPDATED, "", START)
    assert set(await measure(world)) == {"CP001", "CP002"}
    with pytest.raises(ApplicationError, match="no wave with targets"):
        await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 7, 0, 500))


async def test_a_lease_of_other_work_is_a_fact(world: World) -> None:
    world.leases.rows["CP000"] = SiteLease("CP000", "site-0", "charger/CP000", "certificate", START)
    assert (await measure(world))["CP000"].maintenance == "certificate"


async def test_release_counters_and_profiles_are_looked_up(world: World) -> None:
    world.chargers.profiles[VENDOR, MODEL] = ModelProfile(
        VENDOR, MODEL, unsafe_unsigned_waiver="bench", needs_reset_after_install=True
    )
    situation = (await measure(world))["CP000"]
    assert (situation.installed_counter, situation.unsigned_waiver, situation.needs_reset) == (1, True, True)


async def test_a_charger_that_told_nothing_is_unknown_never_idle(world: World) -> None:
    view = replace(world.chargers.rows["CP000"], twin=TwinState("CP000"), last_message_at=None)
    situation = situation_of(view, None, None, START)
    assert (situation.online, situation.heard_recently, situation.version) == (False, False, None)
    assert situation.busy == "it has not reported its connectors yet"
    assert group_of([view], frozenset({"CP000"}), START).known == 0


@pytest.mark.requirement("R29", "R38", "R39")
async def test_a_gate_sees_outcomes_health_and_who_reverted(world: World) -> None:
    for name, outcome in (("CP000", Outcome.UPDATED), ("CP001", Outcome.UPDATED), ("CP002", Outcome.SILENT)):
        await world.campaigns.finish_target("c1", 0, name, outcome, "", START)
    await world.boot("CP000", "1.1", signal=False)
    world.fault("CP000")
    world.unplug("CP004")

    facts = await FleetActivities(world.stores).measure_wave(WaveQuery("c1", 0))

    assert (facts.total, facts.updated, facts.silent, facts.unfinished) == (3, 2, 1, 0)
    assert facts.reverted == 1, "CP001 counts as updated and reports 1.0"
    assert (facts.treated.size, facts.treated.faulted) == (2, 1)
    assert (facts.control.size, facts.control.offline, facts.control.faulted) == (3, 1, 0)


@pytest.mark.requirement("R37", "R44")
async def test_who_was_sent_it_and_is_not_decided_has_no_outcome_for_a_gate(world: World) -> None:
    """Else an image that silences chargers passed, where we came and went often enough."""
    for name in ("CP000", "CP001", "CP002"):
        await world.campaigns.finish_target("c1", 0, name, Outcome.DEFERRED, "", START)
    for name in ("CP000", "CP001"):
        key = ("c1", 0, name)
        world.campaigns.target_rows[key] = replace(world.campaigns.target_rows[key], dispatched_at=START)
    await world.boot("CP001", "1.1", signal=False)

    facts = await FleetActivities(world.stores).measure_wave(WaveQuery("c1", 0))

    assert (facts.deferred, facts.unfinished) == (3, 1), "CP001 runs it, and nothing was sent to CP002"


@pytest.mark.requirement("R29")
async def test_who_runs_what_another_campaign_brought_it_since_has_not_reverted(world: World) -> None:
    await world.add_campaign([["CP000", "CP001", "CP002"]], world.plan(), campaign_id="c2")
    for name in ("CP000", "CP001", "CP002"):
        await world.campaigns.finish_target("c1", 0, name, Outcome.UPDATED, "", START)
        key = ("c2", 0, name)
        sent = START + timedelta(seconds=-1 if name == "CP002" else 1)
        world.campaigns.target_rows[key] = replace(
            world.campaigns.target_rows[key], to_version="1.2", dispatched_at=sent
        )
    for name, version in (("CP000", "1.2"), ("CP001", "1.0"), ("CP002", "1.2")):
        await world.boot(name, version, signal=False)

    facts = await FleetActivities(world.stores).measure_wave(WaveQuery("c1", 0))

    assert facts.reverted == 2, "CP001 fell back by itself, and CP002 was sent it before ours"


@pytest.mark.requirement("R48")
async def test_who_fell_back_by_itself_after_a_failed_attempt_is_seen_as_recovered(world: World) -> None:
    for name, outcome in (("CP000", Outcome.FAILED), ("CP001", Outcome.FAILED), ("CP002", Outcome.UPDATED)):
        await world.campaigns.finish_target("c1", 0, name, outcome, "", START)
    for name in ("CP000", "CP002"):
        await world.boot(name, "1.1", signal=False)

    facts = await FleetActivities(world.stores).measure_wave(WaveQuery("c1", 0))

    assert (facts.recovered, facts.reverted) == (1, 0), "CP001 still reports 1.0"


@pytest.mark.requirement("R44", "F104")
async def test_chargers_of_a_node_that_died_are_offline_and_the_silent_are_unknown(world: World) -> None:
    for name in ("CP000", "CP001"):
        await world.campaigns.finish_target("c1", 0, name, Outcome.UPDATED, "", START)
        await world.boot(name, "1.1", signal=False)
    del world.routes.rows["CP000"]
    view = world.chargers.rows["CP001"]
    world.chargers.rows["CP001"] = replace(view, last_message_at=START - timedelta(days=2))

    treated = (await FleetActivities(world.stores).measure_wave(WaveQuery("c1", 0))).treated

    assert (treated.size, treated.offline, treated.known, treated.reporting) == (2, 1, 1, 0)


@pytest.mark.requirement("R43")
async def test_what_was_reported_before_the_restart_is_no_news_of_the_updated(world: World) -> None:
    await world.campaigns.finish_target("c1", 0, "CP000", Outcome.UPDATED, "", START)
    world.now = START + timedelta(minutes=5)
    view = world.chargers.rows["CP000"]
    booted = replace(view.twin, firmware=FirmwareSection("1.1", booted_at=world.now, boots=(world.now,)))
    world.chargers.rows["CP000"] = replace(view, twin=booted)
    measure_wave = FleetActivities(world.stores).measure_wave

    facts = await measure_wave(WaveQuery("c1", 0))
    assert (facts.treated.known, facts.treated.reporting, facts.control.reporting) == (1, 0, 3)
    await world.boot("CP000", "1.1", signal=False)
    assert (await measure_wave(WaveQuery("c1", 0))).treated.reporting == 1


@pytest.mark.requirement("X11", "R38")
async def test_a_canary_left_on_its_former_version_is_no_updated_one_for_later_gates(world: World) -> None:
    for name in ("CP000", "CP001", "CP002"):
        await world.campaigns.finish_target("c1", 0, name, Outcome.UPDATED, "", START)
        await world.boot(name, "1.1", signal=False)
        back = Target(
            "c1", REHEARSAL_WAVE, int(name[2:]), name, "site-0", "a", "1.1", "1.0", dispatched_at=START
        )
        await world.campaigns.add_targets([back])
        outcome = Outcome.SILENT if name == "CP002" else Outcome.UPDATED
        await world.campaigns.finish_target("c1", REHEARSAL_WAVE, name, outcome, "", START)
    await world.boot("CP000", "1.0", signal=False)
    world.fault("CP000")

    measure_wave = FleetActivities(world.stores).measure_wave
    assert (await measure_wave(WaveQuery("c1", 1))).treated.size == 2, "CP000 tells of 1.0, not of 1.1"
    await world.boot("CP000", "1.1", signal=False)
    assert (await measure_wave(WaveQuery("c1", 1))).treated.size == 3


@pytest.mark.requirement("X11")
async def test_whoever_is_back_goes_forward_again_proven_in_time_or_not(world: World) -> None:
    for place, name in enumerate(("CP000", "CP001", "CP002")):
        back = Target("c1", REHEARSAL_WAVE, place, name, "site-0", "a", "1.1", "1.0", dispatched_at=START)
        await world.campaigns.add_targets([back])
    for name, outcome in (("CP000", Outcome.UPDATED), ("CP001", Outcome.SILENT), ("CP002", Outcome.SILENT)):
        await world.campaigns.finish_target("c1", REHEARSAL_WAVE, name, outcome, "", START)
    await world.boot("CP002", "1.1", signal=False)

    given = RehearsalInput("c1", FORWARD_AGAIN_WAVE, 3)
    assert await CampaignActivities(world.stores).add_rehearsal_targets(given) == 2
    names = [row.charger_id for row in await world.campaigns.targets("c1", FORWARD_AGAIN_WAVE, 0, 9)]
    assert names == ["CP000", "CP001"], "CP001 came back too late to prove it; CP002 never went"


async def test_the_baseline_is_the_whole_cohort(world: World) -> None:
    assert (await FleetActivities(world.stores).measure_cohort("c1")).size == 6


async def test_reasons_and_last_words_are_written_together(world: World) -> None:
    moves = TargetMoves(
        "c1", 0, (("CP000", "a car is there", True),), (("CP001", Outcome.ALREADY_CURRENT, "it runs 1.1"),)
    )
    await FleetActivities(world.stores).move_targets(moves)

    waiting = await world.campaigns.target("c1", 0, "CP000")
    assert (waiting.phase, waiting.deferred_for_session) == (TargetPhase.WAITING, True)
    assert world.campaigns.outcomes("c1")["CP001"] is Outcome.ALREADY_CURRENT


@pytest.mark.requirement("R24", "F120")
async def test_closing_leaves_nobody_without_a_last_word(world: World) -> None:
    await world.campaigns.move_target("c1", 0, "CP000", TargetPhase.DISPATCHED, "sent", at=START)
    await world.campaigns.finish_target("c1", 0, "CP001", Outcome.UPDATED, "", START)
    closed = await CampaignActivities(world.stores).close_targets(CloseInput("c1", Outcome.CANCELLED, "stop"))

    outcomes = world.campaigns.outcomes("c1")
    assert closed == 5
    assert outcomes["CP000"] is Outcome.FAILED, "something was sent to it"
    assert outcomes["CP001"] is Outcome.UPDATED
    assert {outcomes[name] for name in ("CP002", "CP003", "CP004", "CP005")} == {Outcome.CANCELLED}


@pytest.mark.requirement("R48")
async def test_who_runs_the_stopped_version_goes_back_and_nobody_else(world: World) -> None:
    activities = CampaignActivities(world.stores)
    for name, outcome in (("CP000", Outcome.UPDATED), ("CP001", Outcome.FAILED), ("CP002", Outcome.SILENT)):
        await world.campaigns.move_target("c1", 0, name, TargetPhase.DISPATCHED, "sent", at=START)
        await world.campaigns.finish_target("c1", 0, name, outcome, "", START)
    await world.boot("CP000", "1.1", signal=False)
    await world.boot("CP001", "1.1", signal=False)

    assert await activities.add_rollback_targets(RollbackInput("c1", 1000)) == 2
    assert await activities.add_rollback_targets(RollbackInput("c1", 1000)) == 2, "a repeat adds nobody"
    for name in ("CP000", "CP001"):
        await world.boot(name, "1.0", signal=False)
    assert await activities.add_rollback_targets(RollbackInput("c1", 1001)) == 0
    await world.boot("CP002", "1.1", signal=False)
    assert await activities.add_rollback_targets(RollbackInput("c1", 1001)) == 1
    target = await world.campaigns.target("c1", 1001, "CP002")
    assert (target.from_version, target.to_version, target.ordinal) == ("1.1", "1.0", 0)


@pytest.mark.requirement("R48")
async def test_who_fell_back_to_the_stopped_version_by_itself_goes_back_once_more(world: World) -> None:
    activities = CampaignActivities(world.stores)
    for name in ("CP000", "CP001"):
        await world.campaigns.move_target("c1", 0, name, TargetPhase.DISPATCHED, "sent", at=START)
        await world.campaigns.finish_target("c1", 0, name, Outcome.UPDATED, "", START)
        await world.boot(name, "1.1", signal=False)
    assert await activities.add_rollback_targets(RollbackInput("c1", 1000)) == 2
    for name in ("CP000", "CP001"):
        await world.campaigns.finish_target("c1", 1000, name, Outcome.UPDATED, "", START)
        await world.boot(name, "1.0", signal=False)
    assert await activities.measure_rollback(RollbackInput("c1", 1000)) == RollbackFacts(2, (), 0)

    await world.boot("CP001", "1.1", signal=False)
    assert await activities.measure_rollback(RollbackInput("c1", 1000)) == RollbackFacts(1, ("CP001",), 1)
    assert await activities.add_rollback_targets(RollbackInput("c1", 1001)) == 1
    assert (await world.campaigns.target("c1", 1001, "CP001")).to_version == "1.0"


async def test_a_rollback_wave_knows_what_it_takes_back(world: World) -> None:
    await world.campaigns.move_target("c1", 0, "CP000", TargetPhase.DISPATCHED, "sent", at=START)
    await world.boot("CP000", "1.1", signal=False)
    await CampaignActivities(world.stores).add_rollback_targets(RollbackInput("c1", 1000))
    measure_eligibility = FleetActivities(world.stores).measure_eligibility

    assert (await measure_eligibility(ShardQuery("c1", 1000, 0, 500))).replaces == "1.1"
    assert (await measure_eligibility(ShardQuery("c1", 0, 0, 500))).replaces is None


@pytest.mark.requirement("R48")
async def test_whoever_was_sent_it_goes_back_and_who_had_it_before_stays(world: World) -> None:
    activities = CampaignActivities(world.stores)
    await world.campaigns.move_target("c1", 0, "CP000", TargetPhase.DISPATCHED, "sent", at=START)
    for name in ("CP000", "CP001"):
        await world.campaigns.finish_target("c1", 0, name, Outcome.ALREADY_CURRENT, "it runs 1.1", START)
        await world.boot(name, "1.1", signal=False)

    assert await activities.add_rollback_targets(RollbackInput("c1", 1000)) == 1
    assert (await world.campaigns.target("c1", 1000, "CP000")).to_version == "1.0"


@pytest.mark.requirement("R37")
async def test_after_something_was_sent_a_target_was_attempted(world: World) -> None:
    for name in ("CP000", "CP001"):
        await world.campaigns.move_target("c1", 0, name, TargetPhase.DISPATCHED, "sent", at=START)
    done = (
        ("CP000", Outcome.ALREADY_CURRENT, "it runs 1.1 already"),
        ("CP001", Outcome.SKIPPED, "it is quarantined"),
        ("CP002", Outcome.SKIPPED, "it is quarantined"),
    )
    await FleetActivities(world.stores).move_targets(TargetMoves("c1", 0, (), done))
    outcomes = world.campaigns.outcomes("c1")
    assert [outcomes[name] for name, _, _ in done] == [Outcome.UPDATED, Outcome.FAILED, Outcome.SKIPPED]


@pytest.mark.requirement("R31")
async def test_only_the_untouched_can_be_skipped(world: World) -> None:
    activities = CampaignActivities(world.stores)
    await activities.skip_target(SkipInput("c1", "CP004", "grace", "being moved"))
    assert world.campaigns.outcomes("c1")["CP004"] is Outcome.SKIPPED

    await world.campaigns.move_target("c1", 0, "CP000", TargetPhase.DISPATCHED, "", at=START)
    with pytest.raises(ApplicationError, match="dispatched"):
        await activities.skip_target(SkipInput("c1", "CP000", "grace", "too late"))
    await world.campaigns.move_target("c1", 0, "CP000", TargetPhase.WAITING, "attempt 1 failed", at=START)
    with pytest.raises(ApplicationError, match="was sent the update already"):
        await activities.skip_target(SkipInput("c1", "CP000", "grace", "too late"))
    with pytest.raises(ApplicationError, match="no charger in this campaign"):
        await activities.skip_target(SkipInput("c1", "nobody", "grace", "?"))


@pytest.mark.requirement("R31")
async def test_taking_out_is_finished_by_whoever_repeats_it(world: World) -> None:
    """A worker died between the deed and its record: the same word finishes it, another is refused."""
    activities = CampaignActivities(world.stores)
    await world.campaigns.finish_target("c1", 1, "CP004", Outcome.SKIPPED, "grace took it out: moved", START)
    await activities.skip_target(SkipInput("c1", "CP004", "grace", "moved"))
    assert world.audit.actions() == ["campaign.charger_skipped"]
    with pytest.raises(ApplicationError, match="is done"):
        await activities.skip_target(SkipInput("c1", "CP004", "hedy", "moved"))

    await world.campaigns.move_target("c1", 0, "CP000", TargetPhase.DISPATCHED, "sent", at=START)
    await world.campaigns.recall("c1", 0, "CP000", "grace called it back: smoke")
    world.tickets.rows.append(DownloadTicket("t" * 64, "CP000", "a" * 64, START, START))
    assert await activities.recall_target(SkipInput("c1", "CP000", "grace", "smoke")) == 0
    assert world.tickets.rows[-1].revoked
    assert world.audit.actions()[1:] == ["campaign.charger_recalled"]
    with pytest.raises(ApplicationError, match="called back before"):
        await activities.recall_target(SkipInput("c1", "CP000", "hedy", "smoke"))


@pytest.mark.requirement("R31")
def test_calling_back_makes_no_failure_undone() -> None:
    target = Target("c1", 0, 0, "CP000", "site-0", "a" * 64, "1.0", "1.1", recalled="grace called it back")
    open_end = ConcludeInput("c1", 0, "CP000", 1, None, "it stopped")
    assert settled(open_end, target).outcome is Outcome.SKIPPED
    assert settled(replace(open_end, failed=True), target).outcome is Outcome.FAILED
    assert settled(replace(open_end, attempt=2), target).outcome is Outcome.FAILED
    assert settled(replace(open_end, failed=True), replace(target, recalled="")).outcome is None


async def test_a_brief_has_no_list_of_chargers(world: World) -> None:
    brief = await CampaignActivities(world.stores).load_campaign("c1")
    assert brief.sizes == (3, 3)
    assert (brief.version, brief.rollback_version) == ("1.1", "1.0")
    assert b"CP00" not in to_json(brief)


@pytest.mark.requirement("S65", "F122")
async def test_phases_are_on_record_with_who_and_why(world: World) -> None:
    change = PhaseChange("c1", CampaignPhase.PAUSED, "grace paused it", "grace")
    await CampaignActivities(world.stores).set_campaign_phase(change)
    entry = world.audit.rows[-1]
    assert (entry.actor, entry.action, entry.detail["reason"]) == (
        "grace",
        "campaign.paused",
        "grace paused it",
    )


def test_the_follow_up_phrase_is_one_that_people_understand() -> None:
    assert "restore its availability" in STILL_OUT


@pytest.mark.requirement("X2", "X3")
async def test_who_is_down_through_us_needs_no_more_room_and_comes_first(world: World) -> None:
    """CP002 vanished in an earlier attempt and is back; its site may have one charger down."""
    site = world.chargers.rows["CP002"].charger.site_id
    world.out_of_service.rows["CP002"] = OutOfService("CP002", site, (), START, "an update")
    query = ShardQuery("c1", 0, 0, 500)
    facts = await FleetActivities(world.stores).measure_eligibility(query)
    assert [entry.charger_id for entry in facts.entries] == ["CP002", "CP000", "CP001"]
    assert {one.site_id: one.down for one in facts.sites} == {"site-0": 0, "site-1": 0}

    world.unplug("CP002")
    facts = await FleetActivities(world.stores).measure_eligibility(query)
    assert facts.entries[0].charger_id == "CP000"
    assert {one.site_id: one.down for one in facts.sites} == {"site-0": 1, "site-1": 0}


@pytest.mark.requirement("R37")
async def test_a_failed_charger_that_waits_for_its_repetition_was_attempted(world: World) -> None:
    """The bound on failures would see more of them than attempts, and never stop."""
    await world.campaigns.finish_target("c1", 0, "CP000", Outcome.UPDATED, "", START)
    measure_attempts = FleetActivities(world.stores).measure_attempts
    assert await measure_attempts(AttemptsQuery("c1", 0)) == 1
    assert await measure_attempts(AttemptsQuery("c1", 0, failed=2)) == 3
    await world.campaigns.finish_target("c1", 0, "CP001", Outcome.FAILED, "", START)
    assert await measure_attempts(AttemptsQuery("c1", 0, failed=1)) == 2
    assert await measure_attempts(AttemptsQuery("c1", 0, failed=0)) == 2
    assert await measure_attempts(AttemptsQuery("c1", 7, failed=2)) == 0


@pytest.mark.requirement("R28")
async def test_who_runs_the_version_through_us_and_has_not_stayed_up_is_told(world: World) -> None:
    names = ["CP000", "CP001", "CP002", "CP003"]
    campaign = world.campaigns.rows["c1"]
    query = ShardQuery("c1", 0, 0, 500)
    for name in names[:3]:
        await world.boot(name, "1.1")
    world.unplug("CP002")
    for name in ("CP000", "CP002"):
        await world.campaigns.move_target("c1", 0, name, TargetPhase.DISPATCHED, "", at=START, attempt=1)
        await world.campaigns.move_target("c1", 0, name, TargetPhase.WAITING, "failed", at=START)
    activities = FleetActivities(world.stores)
    assert (await activities.measure_eligibility(query)).staying == (), "its plan does not ask for it"

    plan = replace(campaign.plan, pace=replace(campaign.plan.pace, steady_seconds=60.0))
    world.campaigns.rows["c1"] = replace(campaign, plan=plan)
    activities = FleetActivities(world.stores)
    told = (await activities.measure_eligibility(query)).staying
    assert set(told) == {("CP000", START + timedelta(seconds=60)), ("CP002", None)}
    world.now += timedelta(seconds=61)
    assert (await activities.measure_eligibility(query)).staying == (("CP002", None),)


@pytest.mark.requirement("R48", "R28")
async def test_who_fell_back_by_itself_stays_up_before_a_way_back_counts_it(world: World) -> None:
    """Nothing was sent to it there: it may be in the middle of a loop through both of its images."""
    campaign = world.campaigns.rows["c1"]
    plan = replace(campaign.plan, pace=replace(campaign.plan.pace, steady_seconds=60.0))
    world.campaigns.rows["c1"] = replace(campaign, plan=plan)
    await world.campaigns.move_target("c1", 0, "CP000", TargetPhase.DISPATCHED, "sent", at=START)
    await world.boot("CP000", "1.1", signal=False)
    await CampaignActivities(world.stores).add_rollback_targets(RollbackInput("c1", 1000))
    await world.boot("CP000", "1.0", signal=False)
    activities = FleetActivities(world.stores)

    query = ShardQuery("c1", 1000, 0, 500)
    until = world.now + timedelta(seconds=60)
    assert (await activities.measure_eligibility(query)).staying == (("CP000", until),)
    world.now = until + timedelta(seconds=1)
    assert (await activities.measure_eligibility(query)).staying == ()
