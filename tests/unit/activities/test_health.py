"""What is measured of both groups: whom it counts, from when, and by whose hours."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.evidence import Evidence, SignalEvidence
from activities.fleet import WaveQuery
from activities.health import HealthActivities
from storage.campaign import FORWARD_AGAIN_WAVE, Outcome, Target, VerdictWord
from storage.events import ConnectorStatus
from storage.health import ChargerSpan, HealthHour, SpanQuery
from storage.health_time import HealthTime
from storage.twin import ConnectorState, FirmwareSection, OperationSection, TwinState
from tests.unit.activities.world import MODEL, START, VENDOR, World
from workflows.gate import POLICIES, History, judge

HOUR = timedelta(hours=1)
NAMES = [f"CP{number:03d}" for number in range(12)]


def lived(query: SpanQuery, until: datetime) -> ChargerSpan:
    """Heard in every hour, two sessions in each, and nothing bad ever."""
    hours = max(0, (until - query.since) // HOUR)
    counts = HealthHour(attempts=2 * hours, attempts_ok=2 * hours, messages=60 * hours)
    before = HealthHour(attempts=600, attempts_ok=600, messages=20_000)
    site = f"site-{int(query.charger_id[2:])}"
    return ChargerSpan(
        query.charger_id, VENDOR, MODEL, None, site, hours, hours, counts, 300, 300, before, lately=True
    )


@pytest.fixture
async def world() -> World:
    """Four are updated, eight wait."""
    world = World()
    world.add_chargers(12)
    await world.add_campaign([NAMES[:4], NAMES[4:]], world.plan(2))
    for name in NAMES[:4]:
        await world.campaigns.finish_target("c1", 0, name, Outcome.UPDATED, "attested", START + HOUR / 2)
        runs(world, name, "1.1")
    world.health.life = lived
    world.now = START + 30 * HOUR
    return world


def runs(world: World, name: str, version: str | None) -> None:
    change(world, name, lambda twin: replace(twin, firmware=FirmwareSection(version=version)))


def shows(world: World, name: str, status: ConnectorStatus) -> None:
    state = ConnectorState(1, 1, status, START, reported_at=START)
    change(world, name, lambda twin: replace(twin, operation=OperationSection({"1.1": state})))


def change(world: World, name: str, changed: Callable[[TwinState], TwinState]) -> None:
    view = world.chargers.rows[name]
    world.chargers.rows[name] = replace(view, twin=changed(view.twin))


async def measured(world: World, wave: int = 0) -> Evidence:
    return await HealthActivities(world.stores).measure_health(WaveQuery("c1", wave))


def signal(evidence: Evidence, name: str) -> SignalEvidence:
    return next(each for each in evidence.signals if each.signal == name)


def hits(evidence: Evidence, name: str) -> tuple[int, int]:
    strata = signal(evidence, name).strata
    return sum(one.treated.hits for one in strata), sum(one.control.hits for one in strata)


@pytest.mark.requirement("R39", "X5")
async def test_both_groups_live_through_the_same_hours(world: World) -> None:
    found = await measured(world)
    assert (found.treated.chargers, found.control.chargers) == (4, 8)
    assert (found.treated.minutes, found.control.minutes) == (4 * 29 * 60, 8 * 29 * 60)
    assert found.changed is None
    assert found.hour_seconds is None


@pytest.mark.requirement("R38", "X5")
@pytest.mark.parametrize(
    ("status", "name"),
    [(ConnectorStatus.FAULTED, "faults"), (ConnectorStatus.UNAVAILABLE, "unavailable")],
)
async def test_what_broke_within_the_hour_of_the_proof_counts_while_it_is_broken(
    world: World, status: ConnectorStatus, name: str
) -> None:
    """The hour of the proof is not counted, and a connector that stays broken says so once."""
    for charger in NAMES[:4]:
        shows(world, charger, status)
    found = await measured(world)
    assert hits(found, name) == (4, 0)
    policy = replace(POLICIES["balanced"], min_exposure=1)
    assert judge(policy, found, History()).word is not VerdictWord.PROCEED


@pytest.mark.requirement("R39")
async def test_others_that_got_the_version_elsewhere_are_no_others_any_more(world: World) -> None:
    """By another campaign, or by hand: at a wrong place they would hide the harm."""
    runs(world, NAMES[4], "1.1")
    runs(world, NAMES[5], "0.9")
    found = await measured(world)
    assert (found.treated.chargers, found.control.chargers, found.changed) == (4, 6, 2)


@pytest.mark.requirement("R29", "R39")
async def test_an_updated_one_that_was_taken_back_tells_nothing_of_the_new_version(world: World) -> None:
    runs(world, NAMES[0], "1.0")
    runs(world, NAMES[1], None)  # restarted, and not read yet: it says nothing of either
    found = await measured(world)
    assert (found.treated.chargers, found.control.chargers, found.changed) == (3, 8, 1)


@pytest.mark.requirement("R39")
@pytest.mark.parametrize("name", [NAMES[0], NAMES[4]])
@pytest.mark.parametrize(
    ("dispatched", "finished", "counts"),
    [
        (2 * HOUR, 3 * HOUR, False),  # it looped, was taken back, and runs what it ran
        (2 * HOUR, None, False),
        (HOUR / 2, HOUR, False),  # it restarts in the first of the hours that count
        (-3 * HOUR, -2 * HOUR, True),  # its past
        (None, 3 * HOUR, True),  # called off before anything was sent
    ],
)
async def test_what_another_campaign_did_meanwhile_is_held_against_nobody(
    world: World, name: str, dispatched: timedelta | None, finished: timedelta | None, *, counts: bool
) -> None:
    sent = Target("c2", 0, 0, name, "site-0", "a", "1.0", "2.0", outcome=Outcome.FAILED if finished else None)
    sent = replace(
        sent,
        dispatched_at=None if dispatched is None else START + dispatched,
        finished_at=None if finished is None else START + finished,
    )
    await world.campaigns.add_targets([sent])
    found = await measured(world)
    assert found.treated.chargers + found.control.chargers == (12 if counts else 11)
    assert found.changed == (None if counts else 1)


@pytest.mark.requirement("R44")
@pytest.mark.parametrize("steady_s", [0, 10, 5000])
async def test_the_restart_of_the_update_itself_is_not_held_against_it(world: World, steady_s: int) -> None:
    """It boots, stays up for so long, and counts as updated then: its hours begin after both."""
    booted = START + HOUR / 2
    for target in NAMES[:4]:
        row = world.campaigns.target_rows["c1", 0, target]
        done = booted + timedelta(seconds=steady_s)
        world.campaigns.target_rows["c1", 0, target] = replace(row, dispatched_at=START, finished_at=done)

    def life(query: SpanQuery, until: datetime) -> ChargerSpan:
        span, hour = lived(query, until), world.health.time.begin(booted)
        assert query.before <= hour, "nor for it: it is in nobody's past"
        restarts = int(query.since <= hour and query.charger_id in NAMES[:4])
        return replace(span, window=replace(span.window, boots=restarts))

    world.health.life = life
    assert hits(await measured(world), "boots") == (0, 0)


async def test_one_that_does_not_tell_its_version_is_compared(world: World) -> None:
    for name in NAMES[4:]:
        runs(world, name, None)
    assert (await measured(world)).control.chargers == 8


@pytest.mark.requirement("R43")
@pytest.mark.parametrize("everybody", [NAMES[:4], NAMES[4:]])
async def test_an_arm_that_changed_as_a_whole_is_empty_and_holds(world: World, everybody: list[str]) -> None:
    for name in everybody:
        runs(world, name, "2.0")
    found = await measured(world)
    said = judge(POLICIES["balanced"], found, History())
    assert (said.word, said.decided_by) == (VerdictWord.HOLD, "arms")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["1.0", "1.1", "2.0", None]), min_size=12, max_size=12))
@pytest.mark.requirement("R43")
async def test_whatever_chargers_run_by_then_nobody_counts_twice_or_in_the_other_arm(
    versions: list[str | None],
) -> None:
    world = World()
    world.add_chargers(12)
    await world.add_campaign([NAMES[:4], NAMES[4:]], world.plan(2))
    for name in NAMES[:4]:
        await world.campaigns.finish_target("c1", 0, name, Outcome.UPDATED, "attested", START)
    world.health.life = lived
    world.now = START + 30 * HOUR
    for name, version in zip(NAMES, versions, strict=True):
        runs(world, name, version)
    found = await measured(world)
    updated = sum(each in ("1.1", None) for each in versions[:4])
    waiting = sum(each in ("1.0", None) for each in versions[4:])
    assert found.treated.chargers == updated
    assert found.control.chargers == (waiting if updated else 0), "without the one no hours for the other"
    assert (found.changed or 0) == 12 - updated - waiting
    judge(POLICIES["fast"], found, History())


@pytest.mark.requirement("R44")
async def test_nothing_counted_yet_is_no_charger_to_judge(world: World) -> None:
    world.health.life = None
    found = await measured(world)
    assert judge(POLICIES["balanced"], found, History()).word is VerdictWord.HOLD


@pytest.mark.requirement("R44", "X11")
async def test_who_went_back_and_forward_again_is_watched_from_its_second_proof(world: World) -> None:
    asked: dict[str, SpanQuery] = {}

    def life(query: SpanQuery, until: datetime) -> ChargerSpan:
        asked[query.charger_id] = query
        return lived(query, until)

    world.health.life = life
    rows = world.campaigns.target_rows
    for name in NAMES[:4]:
        rows["c1", 0, name] = replace(rows["c1", 0, name], dispatched_at=START)
    again = Target("c1", FORWARD_AGAIN_WAVE, 0, "CP000", "site-0", "a", "1.0", "1.1")
    await world.campaigns.add_targets([again])
    await world.campaigns.finish_target(
        "c1", FORWARD_AGAIN_WAVE, "CP000", Outcome.UPDATED, "attested", START + 5 * HOUR / 2
    )
    await measured(world)
    assert asked["CP000"].since == START + 3 * HOUR
    assert asked["CP000"].before == asked["CP001"].before, "its past ends where it first got the version"
    assert asked["CP001"].since == START + HOUR


async def test_a_rehearsal_counts_by_its_own_hours(world: World) -> None:
    asked: list[SpanQuery] = []

    def life(query: SpanQuery, until: datetime) -> ChargerSpan:
        asked.append(query)
        return lived(query, until)

    world.health.life, world.health.time = life, HealthTime(60)
    found = await measured(world)
    assert found.hour_seconds == 60
    assert {each.since for each in asked} == {START + HOUR / 2}, "the proof came at a full minute"
    assert judge(POLICIES["fast"], found, History()).hour_seconds == 60
