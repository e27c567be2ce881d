"""Few at once first, more with every success."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.campaign import Pace, Ramp
from workflows.ramp import most_in_flight
from workflows.triage import Candidate, choose


@pytest.mark.requirement("R9")
def test_it_speeds_up_with_success_and_begins_again_after_a_failure() -> None:
    pace = Pace(window=20, ramp=Ramp(start=2, factor=2, every=3))
    assert [most_in_flight(pace, streak) for streak in (0, 2, 3, 6, 9, 12, 1000)] == [2, 2, 4, 8, 16, 20, 20]
    assert most_in_flight(Pace(window=20), 0) == 20


@pytest.mark.requirement("R8", "R9")
@given(
    st.integers(1, 200), st.integers(1, 300), st.floats(1.01, 10), st.integers(1, 50), st.integers(0, 10**9)
)
def test_it_never_passes_the_window_and_never_falls(window, start, factor, every, streak) -> None:
    pace = Pace(window=window, ramp=Ramp(start, factor, every))
    now, later = most_in_flight(pace, streak), most_in_flight(pace, streak + every)
    assert 1 <= now <= later <= window
    assert later > now or now == window, "it gets there"


@pytest.mark.requirement("R8", "R55")
@given(
    st.lists(st.sampled_from("abc"), max_size=30),
    st.dictionaries(st.sampled_from("abc"), st.integers(-2, 5)),
    st.integers(-3, 20),
)
def test_neither_the_window_nor_a_sites_room_is_ever_passed(sites, slots, room) -> None:
    queue = [Candidate(f"CP{n}", site, None, ()) for n, site in enumerate(sites)]  # type: ignore[arg-type]
    chosen = choose(queue, slots, room)
    assert len(chosen) <= max(0, room)
    for site in "abc":
        here = sum(one.site_id == site for one in chosen)
        assert here <= max(0, slots.get(site, 0))
        if len(chosen) < room:
            assert here == min(sites.count(site), max(0, slots.get(site, 0))), "nobody waits without a reason"
