"""A charger after its update against itself before: told when it departs, left alone when it is as ever."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.health import COUNTERS, ChargerSignals, FleetSignals, HealthHour, Watermark
from storage.incident import IncidentKind
from storage.watching import Updated
from workflows.soak import SoakRule, at_least_of_drawn, at_least_of_poisson, departures, judge

UNTIL = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(hours=6)
FLEET = FleetSignals(Watermark(99, UNTIL), SINCE, UNTIL, SINCE - timedelta(days=14), ())
UPDATED = Updated("CP-1", "c-1", "2.0", SINCE - timedelta(minutes=20))
RULE = SoakRule()


def charger(
    now: dict[str, Any] | None = None, before: dict[str, Any] | None = None, **more: Any
) -> ChargerSignals:
    heard = {"heard_hours": 6, "baseline_heard_hours": 330} | more
    return ChargerSignals(
        "CP-1", HealthHour(**(now or {})), HealthHour(**(before or {})), 90, 5000, 1, None, 0, **heard
    )


CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("nothing happened", {}, False),
    ("restarts", {"now": {"boots": 4}, "before": {"boots": 2}}, True),
    ("restarts as ever", {"now": {"boots": 4}, "before": {"boots": 220}}, False),
    ("twice may be chance", {"now": {"went_faulted": 2}}, False),
    ("faults", {"now": {"went_faulted": 4}, "before": {"went_faulted": 1}}, True),
    ("reconnects", {"now": {"connects": 30}, "before": {"connects": 60}}, True),
    ("a loop", {"now": {"boot_loops": 1}}, True),
    ("it always loops", {"now": {"boot_loops": 1}, "before": {"boot_loops": 1}}, False),
    ("a lower profile", {"now": {"profile_drops": 1}}, True),
    (
        "sessions",
        {
            "now": {"attempts_ok": 2, "attempts_failed": 7},
            "before": {"attempts_ok": 95, "attempts_failed": 5},
        },
        True,
    ),
    (
        "sessions that always fail",
        {
            "now": {"attempts_ok": 2, "attempts_failed": 7},
            "before": {"attempts_ok": 30, "attempts_failed": 70},
        },
        False,
    ),
    ("few sessions", {"now": {"attempts_failed": 1}, "before": {"attempts_ok": 95}}, False),
    (
        "errors",
        {"now": {"messages": 300, "errors": 30}, "before": {"messages": 9000, "errors": 10}},
        True,
    ),
    ("hardly heard", {"heard_hours": 0}, True),
    ("hardly heard before either", {"heard_hours": 0, "baseline_heard_hours": 30}, False),
    ("a clock", {"now": {"skew_min_s": 3600.0}, "before": {"skew_min_s": 1.0}}, True),
    ("a clock that always was", {"now": {"skew_min_s": 3600.0}, "before": {"skew_min_s": 90.0}}, False),
    (
        "no normal to depart from",
        {"now": {"boots": 40, "boot_loops": 9}, "baseline_heard_hours": 23},
        False,
    ),
]


@pytest.mark.requirement("F31")
@pytest.mark.parametrize(("given_", "departs"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_departs_from_its_own_normal(given_: dict[str, Any], departs: bool) -> None:
    assert bool(departures(FLEET, charger(**given_), RULE)) is departs


@pytest.mark.requirement("F31")
def test_a_departure_is_one_incident_that_says_what_and_since_when() -> None:
    bad = charger({"boots": 4})
    change = judge(UPDATED, FLEET, bad, RULE, known=False)
    assert change is not None
    assert (change.kind, change.subject, change.close) == (
        IncidentKind.UPDATE_DEPARTURE,
        "charger/CP-1",
        False,
    )
    assert (
        change.summary == "Since its update to 2.0, CP-1 is not as it was: 4 restarts in 6 hours, usual 0.0"
    )
    assert change.detail["campaign_id"] == "c-1"


def test_it_closes_when_the_charger_is_itself_again_and_when_nobody_can_tell_any_more() -> None:
    well, bad = charger(), charger({"boots": 4})
    assert judge(UPDATED, FLEET, well, RULE, known=False) is None
    closed = judge(UPDATED, FLEET, well, RULE, known=True)
    assert closed is not None
    assert closed.close
    long_ago = replace(UPDATED, at=UNTIL - RULE.followed - timedelta(hours=1))
    forgotten = judge(long_ago, FLEET, bad, RULE, known=True)
    assert forgotten is not None
    assert forgotten.close


@given(st.integers(0, 12), st.integers(1, 30), st.integers(0, 40), st.integers(1, 300))
def test_the_chance_of_a_count_is_the_binomials(
    count: int, hours: int, before: int, hours_before: int
) -> None:
    share, total = Fraction(hours, hours + hours_before), count + before
    exact = sum(comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(count, total + 1))
    assert at_least_of_poisson(count, hours, before, hours_before) == pytest.approx(float(exact), rel=1e-9)


@given(st.data())
def test_the_chance_of_a_draw_is_the_hypergeometrics(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 60))
    all_bad, drawn = data.draw(st.integers(0, total)), data.draw(st.integers(1, total))
    bad = data.draw(st.integers(0, drawn))
    exact = Fraction(
        sum(comb(all_bad, k) * comb(total - all_bad, drawn - k) for k in range(bad, drawn + 1)),
        comb(total, drawn),
    )
    assert at_least_of_drawn(bad, drawn, all_bad, total) == pytest.approx(float(exact), rel=1e-9, abs=1e-15)


@given(
    st.dictionaries(st.sampled_from(COUNTERS), st.integers(0, 10_000)),
    st.dictionaries(st.sampled_from(COUNTERS), st.integers(0, 10_000)),
    st.integers(0, 6),
    st.integers(0, 336),
)
def test_whatever_the_counters_say_it_is_judged(
    now: dict[str, int], before: dict[str, int], hours: int, hours_before: int
) -> None:
    told = departures(FLEET, charger(now, before, heard_hours=hours, baseline_heard_hours=hours_before), RULE)
    assert all(told)


def test_healthy_chargers_are_left_alone_over_a_whole_soak() -> None:
    """Two thousand chargers that differ from each other and not from themselves, looked at every hour."""
    chance, alarms = random.Random(20261120), 0
    for _ in range(2000):
        rates = {name: chance.gammavariate(0.8, 0.05) for name in ("boots", "connects", "went_faulted")}
        failing = chance.betavariate(1, 9)

        def hours(count: int, rates: dict[str, float] = rates, failing: float = failing) -> dict[str, int]:
            seen = {name: _poisson(chance, rate * count) for name, rate in rates.items()}
            tries = _poisson(chance, 0.4 * count)
            failed = sum(chance.random() < failing for _ in range(tries))
            return seen | {"attempts_ok": tries - failed, "attempts_failed": failed}

        before, now = hours(330), dict.fromkeys([*rates, "attempts_ok", "attempts_failed"], 0)
        for hour in range(1, 25):
            now = {name: now[name] + more for name, more in hours(1).items()}
            if hour % 4 == 0 and departures(_after(hour), charger(now, before, heard_hours=hour), RULE):
                alarms += 1
                break
    assert alarms <= 20, "one in a hundred at most"


def _after(hours: int) -> FleetSignals:
    return replace(FLEET, until=SINCE + timedelta(hours=hours))


def _poisson(chance: random.Random, mean: float) -> int:
    count, left = 0, chance.expovariate(1)
    while left < mean:
        count, left = count + 1, left + chance.expovariate(1)
    return count
