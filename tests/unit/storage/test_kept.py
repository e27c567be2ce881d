"""What is left to compare of a charger once others set some of it (X9)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.kept import ENTRIES, SETTINGS, TRUST, Kept, SetSince, compare, left_alone

pytestmark = pytest.mark.requirement("X9")
AT = datetime(2026, 11, 26, tzinfo=UTC)
names = st.sampled_from(sorted(SETTINGS | TRUST))
values = st.sampled_from(["1", "2", "true"])
told = st.dictionaries(names, values)
every = st.dictionaries(names, st.frozensets(values, min_size=1))


def noted(known: dict[str, str]) -> Kept:
    return Kept("c1", 0, "CP1", AT, known, 2, ("CSMSRootCertificate/k/7",), 7)


@given(told, every, told)
def test_what_others_set_is_neither_put_back_nor_a_loss(
    known: dict[str, str], since: dict[str, frozenset[str]], now: dict[str, str]
) -> None:
    left, theirs = left_alone(noted(known), SetSince(since))
    found = compare(left, now, 2, None)
    others = {name for name in known if since.get(name, set()) - {known[name]}}
    assert set(theirs) == others
    assert not found.settings.keys() & others
    assert not any(line.startswith(f"{name} was") for line in found.trust for name in others)


@given(told, told)
def test_what_nobody_set_otherwise_is_compared_as_ever(known: dict[str, str], now: dict[str, str]) -> None:
    kept = noted(known)
    left, theirs = left_alone(kept, SetSince({name: frozenset({value}) for name, value in known.items()}))
    assert (left, theirs) == (kept, ())
    assert compare(left, now, 1, ()) == compare(kept, now, 1, ())


def test_keys_of_1_6_are_the_same_in_any_case() -> None:
    since = SetSince({"heartbeatINTERVAL": frozenset({"300"})})
    left, theirs = left_alone(noted({"HeartbeatInterval": "60"}), since)
    assert (left.values, theirs) == ({}, ("HeartbeatInterval",))


def test_roots_and_the_local_list_that_others_changed_are_left() -> None:
    kept = noted({ENTRIES: "5"})
    left, theirs = left_alone(kept, SetSince({}, roots=True, local_list=True))
    assert (left.roots, left.local_list, left.values, theirs) == ((), None, {}, (ENTRIES,))
    assert left_alone(kept, SetSince({})) == (kept, ())
