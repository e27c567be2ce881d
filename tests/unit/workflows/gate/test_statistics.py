"""The arithmetic against scipy, against each other, and against brute force."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from activities.evidence import MICRO, Cluster
from activities.sampling import summarise
from tests.support.gate_samples import binary, fleet
from workflows.gate.exact import binary_chance, permuted_chance, spread_of
from workflows.gate.normal import quantile, skewed, tail
from workflows.gate.sizing import detectable


@given(st.floats(-8, 30))
def test_the_normal_tail_is_scipys(z: float) -> None:
    assert tail(z) == pytest.approx(stats.norm.sf(z), rel=1e-9, abs=1e-300)


@given(st.floats(1e-12, 1 - 1e-9))
@settings(max_examples=50)
def test_the_quantile_is_scipys(p: float) -> None:
    assert quantile(p) == pytest.approx(stats.norm.isf(p), rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("skewness", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("z", [1.0, 2.0, 3.0, 4.0])
def test_a_skewed_tail_is_pearsons(z: float, skewness: float) -> None:
    assert tail(skewed(z, skewness)) == pytest.approx(stats.pearson3.sf(z, skewness), rel=0.08)
    assert skewed(z, -skewness) == z, "a lighter tail is taken for normal"


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=60)
@pytest.mark.requirement("R42")
def test_shares_of_chargers_are_compared_by_fishers_test(hit: int, miss: int, other: int, rest: int) -> None:
    if not (hit + miss and other + rest):
        return
    strata = summarise(binary((hit, hit + miss), (other, other + rest))).signals[0].strata
    table = [[hit, miss], [other, rest]]
    assert binary_chance(strata) == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue)


@pytest.mark.requirement("R42", "X5")
def test_the_spread_is_that_of_all_permutations() -> None:
    """Variance and third moment of the score sum, against many shuffles of the very same scores."""
    chance = Random(3)
    sample = fleet(chance, 12, 36, sites=48, models=("A/1",))
    signal = next(one for one in summarise(sample).signals if one.signal == "session_failures")
    spread = spread_of(signal.strata, Cluster("", 0, 0.0))
    sums = []
    for _ in range(20_000):
        total = 0.0
        for stratum in signal.strata:
            pool = [*stratum.treated.table, *stratum.control.table]
            assert len(pool) == stratum.treated.chargers + stratum.control.chargers
            size = stratum.treated.chargers
            total += sum(chance.sample(pool, size)) - size * sum(pool) / len(pool)
        sums.append(total / MICRO)
    assert spread.variance == pytest.approx(stats.tvar(sums), rel=0.04)
    assert spread.skewness == pytest.approx(stats.skew(sums), abs=0.06)


@pytest.mark.requirement("R42")
def test_small_and_large_tests_agree() -> None:
    for seed in range(6):
        sample = fleet(Random(seed), 40, 150, harm=0.04)
        signal = next(one for one in summarise(sample).signals if one.signal == "session_failures")
        rough = spread_of(signal.strata, Cluster("", 0, 0.0)).chance()
        if 0.02 < rough < 0.5:
            exact = permuted_chance(signal.strata, 1.0)
            assert exact == pytest.approx(rough, rel=0.35), seed


@pytest.mark.requirement("X5", "R40")
def test_the_test_errs_no_more_than_it_says() -> None:
    """Chargers that differ, equal arms: the share of small chances is what it is called."""
    below = {0.05: 0, 0.01: 0}
    runs = 500
    for seed in range(runs):
        sample = fleet(Random(seed), 25, 75, hours=36, models=("A/1",), sites=100)
        signal = next(one for one in summarise(sample).signals if one.signal == "session_failures")
        chance = spread_of(signal.strata, Cluster("", 0, 0.0)).chance()
        for level in below:
            below[level] += chance <= level
    for level, count in below.items():
        assert stats.binomtest(count, runs, level, alternative="greater").pvalue > 0.001, (level, count)


@pytest.mark.requirement("X6")
@pytest.mark.parametrize(("arms", "cases"), [((100, 400), 1.0), ((60, 600), 8.0), ((224, 224), 1.0)])
def test_what_a_canary_can_see_is_what_monte_carlo_finds(arms: tuple[int, int], cases: float) -> None:
    rate, alpha, rho = 0.05, 0.05, 0.10
    least = detectable(arms, rate, cases, alpha)
    chance, found, runs = Random(11), 0, 400
    for _ in range(runs):

        def share(size: int, p: float) -> float:
            scale = 1 / rho - 1
            own = (chance.betavariate(p * scale, (1 - p) * scale) for _ in range(size))
            hits = sum(sum(chance.random() < q for _ in range(int(cases))) for q in own)
            return hits / (size * int(cases))

        treated, control = share(arms[0], rate + least), share(arms[1], rate)
        pooled = (treated * arms[0] + control * arms[1]) / sum(arms)
        design = (1 + (cases - 1) * rho) / cases
        error = (pooled * (1 - pooled) * design * (1 / arms[0] + 1 / arms[1])) ** 0.5
        found += error > 0 and (treated - control) / error > quantile(alpha)
    assert found / runs == pytest.approx(0.8, abs=0.07)


@pytest.mark.requirement("X6")
def test_more_chargers_see_less_and_none_see_nothing() -> None:
    sizes = [detectable((size, 400), 0.05, 4.0, 0.01) for size in (5, 20, 80, 320)]
    assert sizes == sorted(sizes, reverse=True)
    assert detectable((0, 10), 0.05, 4.0, 0.01) == 1.0
