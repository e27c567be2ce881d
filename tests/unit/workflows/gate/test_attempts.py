"""The bound on failed attempts: what it promises at every attempt, and what it stops."""

from math import inf, nan
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from storage.campaign import ROLLBACK_WAVE_BASE
from workflows.gate.attempts import (
    AT_THE_END,
    UNDER_WAY,
    beyond_chance,
    chance_of,
    evidence,
    stops,
    stops_at_the_end,
)

ATTEMPTS = st.tuples(st.integers(0, 3000), st.integers(0, 3000)).map(lambda pair: (min(pair), max(pair)))
SHARES = st.floats(0, 1)


@given(ATTEMPTS, SHARES)
def test_it_is_a_fair_bet_against_the_permitted_share(pair: tuple[int, int], permitted: float) -> None:
    """The next attempt changes it by a factor of 1 on average, if the permitted share fails (Ville)."""
    failed, attempts = pair
    now = evidence(failed, attempts, permitted)
    assert now >= 0
    if 0.001 < permitted < 0.999 and failed and 1e-200 < now < 1e200:
        bad, good = evidence(failed + 1, attempts + 1, permitted), evidence(failed, attempts + 1, permitted)
        assert permitted * bad + (1 - permitted) * good == pytest.approx(now, rel=1e-6)


@given(ATTEMPTS, SHARES)
def test_more_failures_never_speak_for_a_release_and_more_attempts_never_against(
    pair: tuple[int, int], permitted: float
) -> None:
    failed, attempts = pair
    assert stops(failed, attempts + 1, permitted) <= stops(failed + 1, attempts + 1, permitted)
    assert stops(failed, attempts + 1, permitted) <= stops(failed, attempts, permitted)
    assert stops(failed, attempts, permitted, wave=1) <= stops(failed, attempts, permitted, wave=0)


def test_looking_after_every_attempt_errs_no_more_than_it_may() -> None:
    """By Monte Carlo, at exactly the permitted share, where it errs most."""
    chance, stopped, campaigns = Random(11), 0, 400
    for _ in range(campaigns):
        failed = 0
        for attempts in range(1, 401):
            failed += chance.random() < 0.05
            if stops(failed, attempts, 0.05):
                stopped += 1
                break
    assert stopped / campaigns <= UNDER_WAY


@given(st.integers(1, 400), st.integers(0, 400), st.floats(1e-6, 1 - 1e-6))
@settings(max_examples=60, deadline=None)
def test_the_tail_is_that_of_scipy(attempts: int, failed: int, permitted: float) -> None:
    failed = min(failed, attempts)
    assert chance_of(failed, attempts, permitted) == pytest.approx(
        binom.sf(failed - 1, attempts, permitted), rel=1e-6, abs=1e-200
    )


def test_waves_together_err_at_their_gates_no_more_than_they_may() -> None:
    """Exactly: the share of outcomes of waves of 40 that stop at the permitted share."""
    wrong = 0.0
    for wave in range(6):
        least = next(failed for failed in range(41) if stops_at_the_end(failed, 40, 0.05, wave))
        wrong += chance_of(least, 40, 0.05)
    assert 0 < wrong <= AT_THE_END


@pytest.mark.parametrize(("failed", "attempts", "stopped"), [(1, 3, False), (2, 4, True), (2, 20, False)])
def test_small_waves_at_their_gate(failed: int, attempts: int, stopped: bool) -> None:
    assert stops_at_the_end(failed, attempts, 0.05) is stopped


@pytest.mark.parametrize(("failed", "most"), [(3, 4), (6, 21), (11, 65)])
def test_what_stops_a_first_wave_at_five_percent(failed: int, most: int) -> None:
    assert stops(failed, most, 0.05)
    assert not stops(failed, most + 1, 0.05)


def test_a_large_good_wave_goes_on_where_a_number_would_stop_it() -> None:
    assert not beyond_chance(500, 10_000, 0.05, 0)
    assert beyond_chance(700, 10_000, 0.05, 0) == "700 of 10000 attempts failed, beyond what chance explains"


def test_rollback_waves_count_anew() -> None:
    assert stops(3, 4, 0.05, ROLLBACK_WAVE_BASE)
    assert not stops(3, 4, 0.05, 2)


def test_where_nothing_may_fail_one_failure_stops() -> None:
    assert evidence(1, 1_000_000, 0.0) == inf
    assert stops(1, 1_000_000, 0.0)
    assert not stops(0, 1_000_000, 0.0)


@given(
    st.integers(-5, 10), st.integers(-5, 10), st.sampled_from([nan, inf, -inf, -1.0, 1.0, 5e-324, 1 - 1e-16])
)
@settings(max_examples=100)
def test_nonsense_is_weighed_without_a_crash(failed: int, attempts: int, permitted: float) -> None:
    assert stops(failed, attempts, permitted) in (True, False)
    assert not stops(0, max(attempts, 0), permitted)


def test_a_million_attempts_do_not_overflow() -> None:
    assert evidence(10**6, 10**6, 1e-300) == inf
    assert evidence(1, 10**9, 0.05) == pytest.approx(0.0)
