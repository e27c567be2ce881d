"""Plans replayed on recorded weeks: the live rules decide, and what is forecast is about what comes."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.campaign import Campaign, CampaignPhase, Outcome, WavePlan, WaveTally
from storage.recording import WEEK_HOURS, Recorded
from storage.windows import Calendar, Closure, ClosureKind, Window
from tests.support.recorded_fleet import NOW, SITUATION, Shape, plan, recordings, split, study
from workflows.gate import POLICIES
from workflows.trial.fleet import Charger, Fleet, tracks_of
from workflows.whatif import Band, Member, Weeks, compared, fact_of, forecast, making, replay
from workflows.whatif.making import Order, make
from workflows.whatif.weeks import WEEK, Silences

ALWAYS = tuple(range(WEEK_HOURS))
HOUR = 60


def there(name: str, *sessions: tuple[int, int, int], heard: tuple[int, ...] = ALWAYS) -> Recorded:
    """One recorded week: sessions as (begin, end, Wh) in minutes."""
    begins, ends, energy = zip(*sessions, strict=True) if sessions else ((), (), ())
    return Recorded(name, begins, ends, energy, heard)


def once(rows: list[Recorded], *, per_site: int = 1, max_down: int = 1, **pace: float):
    """All in one wave, on the week as it was, nothing left to chance but durations."""
    made = study(plan(waves=(WavePlan("all", 1.0),), **pace), rows, 1, per_site=per_site)
    made = replace(made, failure_share=0.0, max_down={f"s{number}": max_down for number in range(len(rows))})
    return made, replay(made, Weeks(1), Random(3))


@pytest.mark.requirement("X10", "R56")
def test_who_is_free_is_updated_and_who_charges_waits_for_the_end_of_it() -> None:
    made, run = once([there("FREE"), there("BUSY", (0, 5 * HOUR, 9000))])
    assert run.updated == 2
    assert run.deferred == 1
    assert not run.blocked
    assert 5 * HOUR < run.minutes < 6 * HOUR
    assert made.weeks == 1


@pytest.mark.requirement("X10")
def test_who_is_never_heard_is_blocked_and_the_wave_waits_for_it() -> None:
    _, run = once(
        [there("FREE"), there("GONE", heard=()), there("LATE", heard=tuple(range(100, WEEK_HOURS)))]
    )
    assert run.updated == 1
    assert run.blocked == {"GONE": "it is offline", "LATE": "it is offline"}
    assert run.minutes >= 3 * 24 * HOUR


@pytest.mark.requirement("X10", "X2")
def test_a_sites_budget_holds_and_nobodys_turn_is_lost() -> None:
    _, apart = once([there(f"C{number}") for number in range(6)], per_site=6)
    _, together = once([there(f"C{number}") for number in range(6)], per_site=6, max_down=6)
    assert apart.updated == together.updated == 6
    assert apart.minutes >= 6 * 7
    _, lasting = once([there(f"C{number}") for number in range(6)], per_site=6, steady_seconds=600.0)
    assert lasting.minutes >= 6 * 17, "each has to stay up before the next one begins"
    assert together.minutes <= 17


def test_a_session_that_begins_under_an_update_is_lost_by_its_part() -> None:
    _, run = once([there("C1", (1, 1001, 100_000))])
    assert 0 < run.lost_wh < 100_000 * 0.02
    _, idle = once([there("C1", (500, 600, 100_000))])
    assert idle.lost_wh == 0


def test_a_shard_has_no_more_under_way_than_its_window() -> None:
    rows = [there(f"C{number}") for number in range(40)]
    _, narrow = once(rows, window=2)
    _, wide = once(rows, window=200)
    assert narrow.updated == wide.updated == 40
    assert narrow.minutes > 10 * wide.minutes / 2


@pytest.mark.requirement("X10")
def test_windows_that_never_open_block_everybody_and_are_not_asked_at_every_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, _ = once([there(f"C{number}") for number in range(4)])
    never = Calendar("", "UTC", (Window("02:00", "02:05"),), takes=timedelta(minutes=30))
    unknown = Calendar("", "", (Window("02:00", "05:00"),))
    calendars = {"s0": never, "s1": never, "s2": unknown, "s3": unknown}
    asked: list[str] = []
    opening = Calendar.opening
    monkeypatch.setattr(Calendar, "opening", lambda one, now: asked.append(one.site_id) or opening(one, now))
    run = replay(replace(made, calendars=calendars), Weeks(1), Random(3))
    assert (run.updated, len(run.blocked)) == (0, 4)
    assert {run.blocked["C0"], run.blocked["C1"], run.blocked["C2"], run.blocked["C3"]} == {
        "its maintenance window is closed (UTC)",
        "its site has no time zone that is known (none)",
    }
    assert len(asked) <= 4 * 4


def test_failed_attempts_are_repeated_and_then_count_as_failed() -> None:
    made, _ = once([there("C1")], max_attempts=3, retry_backoff_seconds=600.0)
    run = replay(replace(made, failure_share=1.0), Weeks(1), Random(3))
    assert (run.updated, run.failed) == (0, 1)
    assert run.minutes >= 2 * 10 + 3 * 7


def test_gates_wait_as_long_as_their_policy_demands() -> None:
    rows = [there(f"C{number}") for number in range(20)]
    quick = replay(study(plan(), rows, 1), Weeks(1), Random(1))
    careful = replay(study(plan(POLICIES["cautious"]), rows, 1), Weeks(1), Random(1))
    assert careful.minutes - quick.minutes > 72 * HOUR


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_every_charger_has_one_end(seed: int, per_site: int, max_down: int) -> None:
    rows = recordings(Shape(24, weeks=2, per_site=per_site, outages=3.0, gone=0.2), seed)
    made = study(plan(), rows, 2, per_site=per_site)
    made = replace(made, failure_share=0.2, max_down={f"s{number}": max_down for number in range(24)})
    run = replay(made, Weeks(2, Random(seed)), Random(seed))
    assert run.updated + run.failed + len(run.blocked) == 24
    assert run.waves == sorted(run.waves)
    assert run.minutes <= 3 * (3 * 24 * HOUR + 60)
    assert run.lost_wh >= 0


@given(st.lists(st.integers(0, WEEK_HOURS - 1), max_size=40), st.integers(0, 5 * WEEK))
def test_silence_ends_at_the_next_hour_that_was_heard(hours: list[int], minute: int) -> None:
    one = Member("C1", "s1", SITUATION, there("C1", heard=tuple(sorted(set(hours)))))
    until = Weeks(1).away_until(one, minute)
    assert until >= minute
    if until == minute:
        assert minute // 60 % WEEK_HOURS in hours
    else:
        assert not any(at // 60 % WEEK_HOURS in hours for at in range(minute, until, 30))


def test_a_silence_goes_on_as_those_did_that_had_become_as_old() -> None:
    silences = Silences(ended=(4, 5, 6, 30, 40), going_on=())
    assert {silences.left(25, Random(seed)) for seed in range(40)} == {5, 15}
    assert Silences().left(10, Random(1)) >= 0


@pytest.mark.requirement("X10", "R56")
def test_the_same_seed_gives_the_same_forecast_and_a_band_around_its_middle() -> None:
    made = study(plan(POLICIES["balanced"]), recordings(Shape(60), 4), 4)
    found = forecast(made, 20, 5)
    assert found == forecast(made, 20, 5)
    assert found.minutes is not None
    assert found.minutes.low <= found.minutes.middle <= found.minutes.high
    assert found.cohort == 60
    assert found.updated.high + found.blocked.high + found.failed.high >= 60
    assert sum(count for _, count in found.reasons) == pytest.approx(
        found.blocked.middle, abs=found.blocked.high - found.blocked.low + 1
    )


@pytest.mark.requirement("X10")
def test_campaigns_in_weeks_that_no_forecast_saw_end_within_its_band() -> None:
    """A few of what the row ``whatif`` counts many of."""
    within: Counter[str] = Counter()
    for seed in range(10):
        before, after = split(recordings(Shape(80, weeks=8), 900 + seed), 4)
        found = forecast(study(plan(), before, 4), 40, seed)
        came = replay(study(plan(), after, 4), Weeks(4), Random(seed))
        assert found.minutes is not None
        within["finish"] += found.minutes.low <= came.minutes <= found.minutes.high
        within["deferrals"] += found.deferrals.low <= came.deferred <= found.deferrals.high
    assert within["finish"] >= 7
    assert within["deferrals"] >= 6


def test_gates_on_trial_lengthen_and_stop_replays() -> None:
    made = study(plan(), recordings(Shape(20), 4), 4)
    stopped = forecast(replace(made, gate_hours=((5.0,),), gates_stopped=1), 3, 1)
    assert stopped.minutes is None
    assert (stopped.false_stop.hits, stopped.false_stop.of) == (1, 1)
    slow = forecast(replace(made, gate_hours=((100.0, 100.0, 100.0),)), 3, 1)
    assert slow.minutes is not None
    assert slow.minutes.low >= 300 * HOUR


@pytest.mark.requirement("X10", "R56")
def test_an_order_tries_the_gates_on_the_recorded_fleet() -> None:
    rows = recordings(Shape(40, weeks=2), 4)
    waves = (WavePlan("first", 0.5), WavePlan("rest", 0.5))
    made = study(plan(replace(POLICIES["fast"], max_wait_seconds=86400.0), waves=waves), rows, 2)
    fleet = Fleet(2, [Charger(row.charger_id, "Acme/AC22", "", "s1", tracks_of({}, 2)) for row in rows])
    found = make(Order(made, fleet, runs=3, trials=2))
    assert found.trials == 2
    assert found.permitted == 0.05


def test_a_band_of_nothing_and_of_one() -> None:
    assert Band.of([]) == Band(0, 0, 0)
    assert Band.of([4]) == Band(4, 4, 4)


# --- forecast and fact ------------------------------------------------------------------------


def campaign(phase: CampaignPhase, hours: float | None) -> Campaign:
    finished = NOW + timedelta(hours=hours) if hours is not None else None
    return Campaign("c1", plan(), "d" * 64, phase, "ada", NOW, 10, finished_at=finished)


TALLY = WaveTally(0, "canary", 10, {"done": 10}, {"updated": 8, "failed": 1, "deferred": 1}, 4)
BODY = {
    "minutes": {"low": 60.0, "middle": 120.0, "high": 180.0},
    "updated": {"low": 8.0, "middle": 9.0, "high": 10.0},
    "deferrals": {"low": 0.0, "middle": 1.0, "high": 2.0},
}


@pytest.mark.requirement("X10")
@pytest.mark.parametrize(
    ("phase", "hours", "finish", "deferrals"),
    [
        (CampaignPhase.COMPLETED, 2.0, True, False),
        (CampaignPhase.COMPLETED, 9.0, False, False),
        (CampaignPhase.ABORTED, 2.0, None, False),
        (CampaignPhase.RUNNING, None, None, False),
    ],
)
def test_a_forecast_is_compared_with_what_came(
    phase: CampaignPhase, hours: float | None, finish: bool | None, deferrals: bool
) -> None:
    fact = fact_of(campaign(phase, hours), [TALLY, replace(TALLY, wave=1000)], NOW, NOW + timedelta(hours=1))
    lines = {line.what: line for line in compared(BODY, fact)}
    assert lines["minutes"].within is finish
    assert lines["deferrals"].within is deferrals
    assert lines["updated"].fact == 8
    assert "failed" not in lines


def test_outcomes_of_a_rollback_are_none_of_the_forecast() -> None:
    fact = fact_of(campaign(CampaignPhase.ROLLED_BACK, 1.0), [replace(TALLY, wave=1000)], None, NOW)
    assert (fact.updated, fact.minutes, fact.completed) == (0, None, False)
    assert Outcome.UPDATED.value == "updated"


@pytest.mark.requirement("X10", "R17")
def test_a_site_that_is_closed_is_waited_for() -> None:
    closed = Closure(NOW, NOW + timedelta(hours=30), ClosureKind.FREEZE, "Easter")
    made, _ = once([there("C1")])
    calendar = Calendar("s0", "Europe/Berlin", (), (closed,), None, timedelta(hours=1))
    run = replay(replace(made, calendars={"s0": calendar}), Weeks(1), Random(3))
    assert run.updated == 1
    assert 30 * HOUR < run.minutes < 31 * HOUR


@pytest.mark.requirement("X10", "R56")
def test_gates_on_trial_have_the_waves_as_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wave that is a list or a count has no share, or one of what others leave."""
    rows = [there(f"C{number}") for number in range(20)]
    made = study(plan(POLICIES["fast"]), rows, 1)
    whole = [member for wave in made.waves for member in wave]
    made = replace(made, waves=[whole[:5], whole[5:10], whole[10:]])
    fleet = Fleet(1, [Charger(row.charger_id, "A/B", "", "s0", tracks_of({}, 1)) for row in rows])
    tried: list[tuple[float, ...]] = []
    real = making.run
    monkeypatch.setattr(
        making, "run", lambda world, shape, rule: tried.append(shape.shares) or real(world, shape, rule)
    )
    making.on_trial(made, Order(made, fleet, 1, trials=1))
    assert tried == [(0.25, 0.25, 0.5)]
