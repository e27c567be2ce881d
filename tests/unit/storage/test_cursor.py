"""Cursors are ours or they are refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidInput
from storage.postgres import cursor


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_a_position_comes_back(position: list[str]) -> None:
    text = cursor.encode(*position)
    assert cursor.decode(text, len(position)) == position
    with pytest.raises(InvalidInput):
        cursor.decode(text, len(position) + 1)


@given(st.text())
def test_anything_else_is_refused_and_never_a_crash(text: str) -> None:
    try:
        assert len(cursor.decode(text, 1)) == 1
    except InvalidInput as refused:
        assert refused.hint  # noqa: PT017 - either outcome is right


def test_times_come_back() -> None:
    at = datetime(2026, 11, 20, 12, 0, 0, 7, tzinfo=UTC)
    (text,) = cursor.decode(cursor.encode(at), 1)
    assert cursor.instant(text) == at
    with pytest.raises(InvalidInput):
        cursor.instant("yesterday")


def test_the_last_page_has_no_cursor() -> None:
    rows = ["a", "b", "c"]
    more = cursor.page(rows, 2, str.upper, lambda row: [row])
    assert more.items == ("A", "B")
    assert cursor.decode(more.next_cursor, 1) == ["b"]
    last = cursor.page(rows, 3, str.upper, lambda row: [row])
    assert (last.items, last.next_cursor) == (("A", "B", "C"), None)
    assert cursor.page([], 3, str.upper, lambda row: [row]).next_cursor is None
