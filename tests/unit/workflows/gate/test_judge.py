"""The judgement of health: valid however often it looks, and never well on no data."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.evidence import Counts, Coverage, Epoch, Evidence, History, Sample
from activities.sampling import summarise
from storage.campaign import VerdictWord
from storage.health_policy import HealthPolicy, SegmentRule, SignalLimit, SignalRole
from tests.support.gate_samples import binary, fleet
from workflows.gate import POLICIES, Says, judge, next_hours
from workflows.gate.policies import problems_of

PROCEED, HOLD, ABORT = VerdictWord.PROCEED, VerdictWord.HOLD, VerdictWord.ABORT
SESSIONS = HealthPolicy(
    (SignalLimit("session_failures", 0.03, SignalRole.PRIMARY), SignalLimit("faults", 0.05)),
    min_hours=24,
    min_exposure=50,
    proceed_below=4,
)
FAULTS = HealthPolicy(
    (SignalLimit("faults", 0.05, SignalRole.PRIMARY),),
    first_hours=1,
    min_hours=1,
    min_exposure=1,
    proceed_below=100,
)


NEW = History()


def word(sample: Sample, policy: HealthPolicy = SESSIONS, history: History = NEW) -> VerdictWord:
    return judge(policy, summarise(sample), history).word


def test_a_healthy_release_proceeds_with_numbers() -> None:
    found = judge(SESSIONS, summarise(fleet(Random(1))), History(), 2)
    assert found.word is PROCEED
    assert found.history.passed == (2,)
    assert "updated chargers" in found.reason
    assert found.would_change


@pytest.mark.requirement("R38", "R39", "X5")
def test_failing_sessions_abort_with_what_chance_has_to_say() -> None:
    found = judge(SESSIONS, summarise(fleet(Random(1), harm=0.25)), History())
    assert found.word is ABORT
    assert found.decided_by == "session_failures"
    assert "chance leads there" in found.reason


@pytest.mark.requirement("R43", "F104")
def test_no_data_is_never_a_pass() -> None:
    assert judge(SESSIONS, None, History()).word is HOLD
    assert judge(SESSIONS, Evidence(Coverage(), Coverage(), ()), History()).word is HOLD
    nothing = Sample([], [], [], [], [], {})
    assert word(nothing) is HOLD
    missing = replace(fleet(Random(1)), signals={"faults": fleet(Random(1)).signals["faults"]})
    held = judge(SESSIONS, summarise(missing), History())
    assert held.word is HOLD
    assert "Nothing was measured" in held.reason


@pytest.mark.requirement("R43", "R44")
def test_one_arm_alone_holds() -> None:
    alone = fleet(Random(1), 20, 0)
    assert word(alone) is HOLD
    assert word(fleet(Random(1), 0, 20)) is HOLD
    last = summarise(alone, last=True)
    assert judge(SESSIONS, last, History()).word is HOLD
    assert judge(SESSIONS, last, History(passed=(0,))).word is PROCEED


@pytest.mark.requirement("R44")
def test_silence_of_a_group_holds() -> None:
    sample = fleet(Random(1))
    deaf = replace(sample, heard=list(sample.treated))
    assert "an outage here?" in judge(SESSIONS, summarise(deaf), History()).reason
    mute = replace(sample, heard=[not treated for treated in sample.treated])
    assert word(mute) is HOLD
    late = judge(SESSIONS, summarise(sample, behind_seconds=3600), History())
    assert late.word is HOLD
    assert "60 minutes behind" in late.reason


@pytest.mark.requirement("R44")
def test_an_outage_of_everybody_holds() -> None:
    sample = fleet(Random(2), 60, 240)
    counts = sample.signals["session_failures"]
    worse = replace(
        counts,
        hits=[min(every, hit + every // 2) for hit, every in zip(counts.hits, counts.exposure, strict=True)],
    )
    found = judge(
        SESSIONS, summarise(replace(sample, signals={**sample.signals, "session_failures": worse})), History()
    )
    assert found.word is HOLD
    assert "outage of everybody" in found.reason


@pytest.mark.requirement("R44")
def test_a_source_that_stopped_counting_holds() -> None:
    sample = fleet(Random(2), 60, 240)
    stuck = replace(sample.signals["session_failures"], hits=[0] * 300)
    found = judge(
        SESSIONS, summarise(replace(sample, signals={**sample.signals, "session_failures": stuck})), History()
    )
    assert found.word is HOLD
    assert "does the source still count?" in found.reason


@pytest.mark.requirement("R42", "R43")
def test_all_updated_on_one_site_hold() -> None:
    sample = fleet(Random(1))
    sites = ["one" if treated else site for treated, site in zip(sample.treated, sample.sites, strict=True)]
    found = judge(SESSIONS, summarise(replace(sample, sites=sites)), History())
    assert found.word is HOLD
    assert "one site" in found.reason


@pytest.mark.requirement("R36")
def test_too_little_exposure_holds_and_says_how_long() -> None:
    found = judge(replace(SESSIONS, min_hours=72), summarise(fleet(Random(1))), History())
    assert found.word is HOLD
    assert found.resolves_hours == pytest.approx(24)
    few = judge(replace(SESSIONS, min_exposure=10_000), summarise(fleet(Random(1))), History())
    assert few.word is HOLD
    assert few.resolves_hours is not None
    assert few.resolves_hours > 24


@pytest.mark.requirement("R45")
def test_harm_below_what_matters_does_not_abort() -> None:
    tolerant = replace(SESSIONS, signals=(SignalLimit("session_failures", 0.9, SignalRole.PRIMARY),))
    found = judge(tolerant, summarise(fleet(Random(1), harm=0.25)), History())
    assert found.word is PROCEED


@pytest.mark.requirement("R46")
def test_a_shadow_never_decides() -> None:
    policy = replace(
        SESSIONS,
        signals=(
            SignalLimit("session_failures", 0.03, SignalRole.SHADOW),
            SignalLimit("unheard", 0.05, SignalRole.PRIMARY),
        ),
    )
    found = judge(policy, summarise(fleet(Random(1), harm=0.25)), History())
    assert found.word is not ABORT
    assert "session_failures" in {one.signal for one in found.comparisons}
    assert all(one.says is not Says.HARM for one in found.comparisons)


@pytest.mark.requirement("R47")
def test_one_bad_model_stops_or_leaves() -> None:
    sample = fleet(Random(4), 120, 480, harm=0.4, bad_model="B")
    excluding = replace(
        SESSIONS,
        segments=SegmentRule.EXCLUDE,
        signals=(SignalLimit("session_failures", 0.25, SignalRole.PRIMARY),),
    )
    found = judge(excluding, summarise(sample), History())
    assert found.word is HOLD
    assert found.bad_segments == ("B/2",)
    again = judge(excluding, summarise(sample), found.history)
    assert again.bad_segments == ()
    assert all(one.segment != "B/2" for one in again.comparisons)
    stopping = judge(replace(excluding, segments=SegmentRule.STOP), summarise(sample), History())
    assert stopping.word is ABORT
    assert stopping.decided_by == "session_failures on B/2"


@pytest.mark.requirement("R40")
def test_looks_are_paid_for_as_hours_grow_and_free_between() -> None:
    history = History((Epoch(1, 0, 1000.0),))
    assert next_hours(SESSIONS, history) == 2000.0
    bad = summarise(fleet(Random(1), harm=0.25))  # 30 chargers, 48 hours: 1,440
    free = judge(SESSIONS, bad, history)
    assert free.epoch is None
    assert free.word is HOLD
    assert free.history.epochs == history.epochs
    paid = judge(SESSIONS, bad, History((Epoch(1, 0, 700.0),)))
    assert paid.epoch == Epoch(2, 0, 1440.0)
    assert paid.word is ABORT


@pytest.mark.requirement("R40")
def test_no_wave_opens_before_a_look_that_was_paid_for() -> None:
    policy = replace(SESSIONS, min_hours=48.0)
    evidence = summarise(fleet(Random(1), harm=0.25))  # 48 hours each: just old enough
    earlier = History((Epoch(1, 0, 1400.0),), passed=(0,))
    assert judge(policy, evidence, earlier, wave=0).epoch is None
    ripe = judge(policy, evidence, earlier, wave=1)
    assert ripe.epoch == Epoch(2, 1, 1440.0)
    assert ripe.word is ABORT
    again = judge(policy, evidence, ripe.history, wave=1)
    assert again.epoch is None


@pytest.mark.requirement("R40", "R41")
def test_looks_at_young_chargers_draw_on_a_tenth() -> None:
    policy = replace(SESSIONS, min_hours=49.0)
    young = judge(policy, summarise(fleet(Random(1), harm=0.25)), History(), wave=0)
    assert young.epoch == Epoch(1, 0, 1440.0, early=True)
    assert sum(one.alpha for one in young.comparisons) <= policy.false_stop * 0.1 / 2 + 1e-12
    ripe = judge(SESSIONS, summarise(fleet(Random(1), harm=0.25)), young.history, wave=0)
    assert ripe.epoch == Epoch(1, 0, 1440.0)


@given(st.integers(1, 200))
@pytest.mark.requirement("R40", "R41")
def test_all_looks_signals_and_segments_together_may_err_with_false_stop(looks: int) -> None:
    evidence = summarise(fleet(Random(1), 10, 20))
    spent = 0.0
    for number in (1, 2, looks):
        history = History(tuple(Epoch(k, 0, 1.0) for k in range(1, number)))
        found = judge(SESSIONS, evidence, history)
        spent = sum(one.alpha for one in found.comparisons)
        assert spent <= SESSIONS.false_stop / (number * (number + 1)) + 1e-12
    assert sum(SESSIONS.false_stop / (k * (k + 1)) for k in range(1, looks + 1)) < SESSIONS.false_stop


@given(st.integers(0, 19), st.integers(0, 60), st.integers(20, 30), st.integers(60, 90))
@settings(max_examples=60, deadline=None)
def test_more_harm_is_never_judged_milder(hit: int, other: int, size: int, rest: int) -> None:
    order = [PROCEED, HOLD, ABORT]
    milder = word(binary((hit, size), (other, rest)), FAULTS)
    worse = word(binary((hit + 1, size), (other, rest)), FAULTS)
    assert order.index(worse) >= order.index(milder)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_order_and_the_names_of_chargers_do_not_matter(seed: int) -> None:
    sample, chance = fleet(Random(seed), 80, 160), Random(seed)
    rows = list(range(240))
    chance.shuffle(rows)
    names = {site: f"x{number}" for number, site in enumerate(sorted(set(sample.sites)))}
    shuffled = Sample(
        strata=[sample.strata[row] for row in rows],
        sites=[names[sample.sites[row]] for row in rows],
        treated=[sample.treated[row] for row in rows],
        minutes=[sample.minutes[row] for row in rows],
        heard=[sample.heard[row] for row in rows],
        signals={
            name: Counts(
                *(
                    [column[row] for row in rows] if column else ()
                    for column in (counts.hits, counts.exposure, counts.base_hits, counts.base_exposure)
                )
            )
            for name, counts in sample.signals.items()
        },
    )
    one, other = (
        judge(SESSIONS, summarise(sample), History()),
        judge(SESSIONS, summarise(shuffled), History()),
    )
    assert (one.word, one.reason) == (other.word, other.reason)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_equal_arms_may_change_their_labels(seed: int) -> None:
    """Equal numbers in both arms: whichever is called updated, there is no harm."""
    half = fleet(Random(seed), 40, 0)
    twice = Sample(
        strata=[*half.strata, *half.strata],
        sites=[*half.sites, *half.sites],
        treated=[True] * 40 + [False] * 40,
        minutes=[*half.minutes, *half.minutes],
        heard=[True] * 80,
        signals={
            name: Counts(
                *(
                    [*column, *column]
                    for column in (counts.hits, counts.exposure, counts.base_hits, counts.base_exposure)
                )
            )
            for name, counts in half.signals.items()
        },
    )
    found = judge(SESSIONS, summarise(twice), History())
    assert found.word is not ABORT
    assert all(one.estimate == pytest.approx(0, abs=1e-9) for one in found.comparisons)


cells = st.integers(0, 5)


@st.composite
def samples(draw) -> Sample:
    count = draw(st.integers(0, 12))
    column = lambda values: draw(st.lists(values, min_size=count, max_size=count))  # noqa: E731
    exposure = column(cells)
    hits = [min(hit, every) for hit, every in zip(column(cells), exposure, strict=True)]
    return Sample(
        column(st.sampled_from(["A/1|", "B/2|x", "odd"])),
        column(st.sampled_from(["s1", "s2", "s3"])),
        column(st.booleans()),
        column(st.integers(0, 9000)),
        column(st.booleans()),
        {
            "session_failures": Counts(hits, exposure, hits, exposure),
            "faults": Counts([0] * count, [1] * count),
        },
    )


@given(samples(), st.booleans(), st.sampled_from(list(POLICIES.values())))
@settings(max_examples=150, deadline=None)
@pytest.mark.requirement("R43")
def test_whatever_comes_nothing_crashes_and_proceed_rests_on_data(sample, last, policy) -> None:
    policy = replace(policy, first_hours=0.1)
    found = judge(policy, summarise(sample, last=last), History())
    assert found.reason
    assert found.would_change
    if found.word is PROCEED:
        assert found.comparisons
        assert any(sample.treated)
        assert not all(sample.treated)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_the_shipped_policies_are_possible(name: str) -> None:
    assert problems_of(POLICIES[name]) == []
    assert POLICIES[name].name == name


def test_every_problem_of_a_policy_is_told_at_once() -> None:
    limit = SignalLimit("sesion", 2.0, weight=0)
    problems = problems_of(
        HealthPolicy((limit, limit), false_stop=0.9, growth=1.0, coverage=0, max_wait_seconds=1)
    )
    assert len(problems) >= 9
    assert any("is not a signal; there are" in each for each in problems)
    assert any("at least one primary" in each for each in problems_of(HealthPolicy()))
