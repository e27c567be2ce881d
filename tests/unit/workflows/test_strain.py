"""When our own machines are late nothing new is sent, and afterwards a little at first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.strain import (
    AGAIN,
    CALM,
    HELD,
    LEAST,
    Ease,
    Lateness,
    bound,
    judge_strain,
    relaxed,
    tightened,
    words,
)

WHY = judge_strain(Lateness(node="its node comes late to its orders"))


@pytest.mark.parametrize(
    ("late", "word"),
    [
        (Lateness(look_s=15.1), "workers"),
        (Lateness(signals_s=15.1), "what chargers tell"),
        (Lateness(node="its node is late"), "its node is late"),
        (Lateness(15.0, 15.0), ""),
        (Lateness(-3.0), ""),
    ],
)
def test_each_lateness_has_its_own_reason_and_none_in_time(late: Lateness, word: str) -> None:
    why = judge_strain(late)
    assert why.startswith(HELD) == bool(word)
    assert word in why


def test_a_reason_stays_the_same_while_it_lasts() -> None:
    assert judge_strain(Lateness(signals_s=20)) == judge_strain(Lateness(signals_s=900)), "written once"


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 500))
def test_nothing_begins_while_it_is_late_and_all_may_again_in_the_end(looks: list[bool], most: int) -> None:
    ease = CALM
    for late in looks:
        ease = tightened(ease, WHY) if late else relaxed(ease)
        assert LEAST <= ease.share <= 1.0
        assert (bound(most, ease) == 0) is late
        assert bound(most, ease) <= most
    for _ in range(6):
        ease = relaxed(ease)
    assert ease == CALM
    assert bound(most, ease) == most


def test_after_a_hold_half_as_many_begin_and_twice_as_many_with_each_calm_look() -> None:
    ease = tightened(tightened(CALM, WHY), WHY)
    assert ease == Ease(0.5, WHY), "one hold, however many say so"
    ease = relaxed(ease)
    assert bound(8, ease) == 4
    assert bound(1, ease) == 1, "one may be in any case"
    assert bound(8, relaxed(ease)) == 8


def test_who_is_held_is_told_so_and_told_when_it_is_over() -> None:
    said = {"A": WHY, "B": "a car is there"}
    assert words(["A", "B", "C"], said, WHY) == [("B", WHY, False), ("C", WHY, False)]
    assert words(["A", "B", "C"], said, "") == [("A", AGAIN, False)]
