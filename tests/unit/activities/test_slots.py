"""Which slot of a charger may be written: never the one that it comes by (B09)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.guards import CONNECTIONS, PRIORITY_VARIABLE, active_slot, free_slots

ACTIVE = CONNECTIONS[0]


@pytest.mark.requirement("F54")
@pytest.mark.parametrize(
    ("active", "priority", "wanted", "slots"),
    [
        ("1", "1", 0, (2, 3)),
        ("1", "1,2", 0, (3, 2)),
        ("2", "2,1", 0, (3, 1)),
        ("1", "1,2,3", 0, (3, 2)),
        (None, "1", 0, (2, 3)),
        (None, "1,2", 0, (3,)),
        (None, None, 0, ()),
        ("1", "1", 1, ()),
        ("1", "1", 7, (7,)),
        ("", "", 0, ()),
        ("x", "y", 2, ()),
    ],
)
def test_slots_without_use_come_first(
    active: str | None, priority: str | None, wanted: int, slots: tuple[int, ...]
) -> None:
    told = {ACTIVE: active, PRIORITY_VARIABLE: priority}
    assert free_slots(wanted, {name: value for name, value in told.items() if value is not None}) == slots


@given(st.text(max_size=12), st.text(max_size=20), st.integers(0, 5))
def test_the_slot_in_use_is_never_offered(active: str, priority: str, wanted: int) -> None:
    known = {ACTIVE: active, PRIORITY_VARIABLE: priority}
    assert active_slot(known) not in free_slots(wanted, known)
