"""Lines for Temporal's timeline: a longer one than it takes would fail the workflow's task."""

from hypothesis import given
from hypothesis import strategies as st

from workflows.options import shortened


@given(st.text(max_size=500))
def test_a_summary_always_fits_and_a_short_one_is_whole(line: str) -> None:
    found = shortened(line)

    assert len(found.encode()) <= 200
    assert found == line or (found.endswith("…") and line.startswith(found[:-1]))
