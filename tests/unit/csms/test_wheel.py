"""The wheel gives every thing back when it is due, and only then, whatever is put, moved and taken out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.wheel import Wheel

TICK = 0.5


def drained(wheel: Wheel[str], now: float) -> list[str]:
    found = []
    while (thing := wheel.take(now)) is not None:
        found.append(thing)
    return found


def test_what_is_due_comes_in_order_and_once() -> None:
    wheel: Wheel[str] = Wheel(TICK)
    for name, due in (("late", 30.0), ("early", 10.0), ("same", 10.0)):
        wheel.put(name, due)
    assert drained(wheel, 9.9) == []
    assert drained(wheel, 10.0) == ["early", "same"]
    assert drained(wheel, 1000.0) == ["late"]
    assert len(wheel) == 0


def test_what_was_moved_comes_at_its_new_time_alone() -> None:
    wheel: Wheel[str] = Wheel(TICK)
    wheel.put("one", 10.0)
    wheel.put("one", 20.0)
    assert drained(wheel, 19.9) == []
    assert drained(wheel, 20.0) == ["one"]


def test_what_is_put_back_overdue_waits_for_the_next_tick() -> None:
    wheel: Wheel[str] = Wheel(TICK)
    wheel.put("one", 10.0)
    assert wheel.take(10.0) == "one"
    wheel.put("one", 3.0)
    assert wheel.take(10.0) is None, "or a walk would never end"
    assert wheel.take(10.0 + TICK) == "one"


def test_a_clock_that_is_set_back_delays_nothing_that_is_put_in_later() -> None:
    wheel: Wheel[str] = Wheel(TICK)
    wheel.put("one", 10.0)
    assert drained(wheel, 1_000_000.0) == ["one"]
    assert drained(wheel, 20.0) == []
    wheel.put("two", 30.0)
    assert drained(wheel, 30.0) == ["two"]


@pytest.mark.requirement("F104")
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("put", "remove", "take")),
            st.sampled_from("abcdef"),
            st.floats(0, 40, allow_nan=False),
        ),
        max_size=60,
    )
)
def test_nothing_comes_early_and_nothing_is_lost(acts: list[tuple[str, str, float]]) -> None:
    """Beside a plain table of due times; ``now`` goes on by a tick with every act."""
    wheel: Wheel[str] = Wheel(TICK)
    due: dict[str, float] = {}
    now = 0.0
    for what, name, after in acts:
        now += TICK
        if what == "put":
            wheel.put(name, now + after)
            due[name] = now + after
        elif what == "remove":
            wheel.remove(name)
            due.pop(name, None)
        for found in drained(wheel, now):
            assert due.pop(found) <= now
        assert all(at > now - 2 * TICK for at in due.values())
        assert {each for each in "abcdef" if each in wheel} == set(due)
    assert sorted(drained(wheel, now + 100)) == sorted(due)
