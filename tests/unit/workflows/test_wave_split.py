"""Lists, queries, counts and shares: everybody who fits is in one wave, or the plan says why not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.campaign import CampaignPlan, WavePlan
from storage.charger import ChargerFilter
from workflows.draw import Lot
from workflows.wave_split import share_problems, split

QUERIES = {"evens": frozenset(f"CP{n:03}" for n in range(0, 200, 2)), "none": frozenset()}


def plan(*waves: WavePlan, seed: int = 0) -> CampaignPlan:
    return CampaignPlan("p", "a" * 64, ChargerFilter(), waves, seed=seed)


def lots(count: int) -> list[Lot[str]]:
    return [Lot(f"CP{n:03}", ("v", f"m{n % 3}"), f"s{n % 7}", f"CP{n:03}") for n in range(count)]


def drawn(given: CampaignPlan, count: int = 40, **left_out: str):
    return split(given, lots(count), QUERIES, left_out)


SHARED = (WavePlan("canary", 0.1), WavePlan("rest", 0.9))


@pytest.mark.requirement("R4", "R5")
def test_a_list_a_query_a_count_and_the_rest() -> None:
    found = drawn(
        plan(
            WavePlan("bench", charger_ids=("CP001", "CP002")),
            WavePlan("few", count=5),
            WavePlan("evens", query="evens", share=0.5),
            WavePlan("half", share=0.5),
            WavePlan("rest", share=0.5),
        )
    )
    assert found.problems == []
    sizes = [len(wave) for wave in found.waves]
    assert sizes == [2, 5, 10, 12, 11]  # 40 - 2 listed, 19 evens left of which half, then 5, then 23 shared
    assert set(found.waves[0]) == {"CP001", "CP002"}
    assert set(found.waves[2]) <= QUERIES["evens"] - {"CP002"}


@pytest.mark.requirement("R1", "R6")
@given(
    st.integers(8, 120),
    st.sets(st.integers(0, 7), max_size=4),
    st.integers(0, 3),
    st.sampled_from([None, 0.3, "all", 2]),
    st.integers(0, 3),
    st.integers(0, 9),
)
@settings(max_examples=60)
def test_waves_without_problems_are_a_partition_of_who_fits(
    count, listed, counted, query, shared, seed
) -> None:
    waves = []
    if listed:
        waves.append(WavePlan("list", charger_ids=tuple(f"CP{n:03}" for n in sorted(listed))))
    if query is not None:
        share = query if isinstance(query, float) else 0.0
        number = query if isinstance(query, int) else None
        waves.append(WavePlan("query", share, query="evens", count=number))
    waves += [WavePlan(f"count{n}", count=1) for n in range(counted)]
    waves += [WavePlan(f"share{n}", share=1 / shared) for n in range(shared)]
    if not waves:
        return
    given_plan = plan(*waves, seed=seed)
    found, again = drawn(given_plan, count), split(given_plan, lots(count)[::-1], QUERIES, {})
    assert found.waves == again.waves, "whatever the order in which they were read"
    members = [name for wave in found.waves for name in wave]
    assert len(set(members)) == len(members), "nobody twice"
    if not found.problems:
        assert set(members) == {lot.name for lot in lots(count)}
        assert all(found.waves)
    else:
        assert not shared or count < 20, "with shares nobody is left over"


@pytest.mark.parametrize(
    ("waves", "part"),
    [
        ((WavePlan("a", charger_ids=("CP001", "ODD")), *SHARED), "targets does not match: ODD"),
        ((WavePlan("a", charger_ids=("OUT",)), *SHARED), "names OUT, which is left out: it is retired"),
        ((WavePlan("a", count=99), *SHARED), "99 chargers are asked for by count, and 40 are free"),
        ((WavePlan("a", query="none"), *SHARED), "nobody who is free matches"),
        ((WavePlan("a", query="evens", count=21), *SHARED), "wants 21 chargers, and 20 match"),
        ((WavePlan("a", count=3),), "37 chargers are in no wave"),
        ((WavePlan("a", query="evens"),), "20 chargers are in no wave"),
        ((WavePlan("a", count=40), *SHARED), "would be empty"),
    ],
)
def test_waves_that_do_not_work_out_are_told(waves, part) -> None:
    assert any(part in problem for problem in drawn(plan(*waves), OUT="it is retired").problems)


@pytest.mark.parametrize(
    ("waves", "part"),
    [
        ((WavePlan("a", 0.4), WavePlan("b", 0.4)), "the waves' shares must add up to 1, not 0.8"),
        ((WavePlan("a", 0.5), WavePlan("b", count=2)), "without a list, query or count must add up to 1"),
        ((WavePlan("a", 0.5, charger_ids=("X",)), *SHARED), "leave out query, count and share"),
        ((WavePlan("a", charger_ids=()), *SHARED), "charger_ids must not be empty"),
        ((WavePlan("a", 0.5, count=2), *SHARED), "a count or a share, not both"),
        ((WavePlan("a", count=0), *SHARED), "count must be at least 1"),
        ((WavePlan("a", 2.0, query="evens"), *SHARED), "share must be at most 1"),
        ((WavePlan("a"), *SHARED), "share must be above 0"),
        (
            (WavePlan("a", charger_ids=("X", "Y")), WavePlan("b", charger_ids=("Y",)), *SHARED),
            "more than once: Y",
        ),
    ],
)
def test_waves_that_contradict_themselves_are_told_by_the_plan_alone(waves, part) -> None:
    assert any(part in problem for problem in share_problems(plan(*waves)))


def test_plain_shares_are_drawn_as_they_always_were() -> None:
    from workflows.draw import draw, wave_sizes

    given_plan = plan(*SHARED, seed=5)
    sizes = wave_sizes(40, [0.1, 0.9])
    assert drawn(given_plan).waves == draw(lots(40), sizes, 5)
    assert drawn(replace(given_plan, seed=6)).waves != drawn(given_plan).waves
