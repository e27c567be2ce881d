import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.canonical import canonical_json, digest
from storage.charger import ChargerFilter


class Word(StrEnum):
    ONE = "one"


@dataclass(frozen=True, slots=True)
class Inner:
    zulu: datetime
    alpha: Word


@dataclass(frozen=True, slots=True)
class Outer:
    second: tuple[Inner, ...]
    first: float


VALUE = Outer((Inner(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), Word.ONE),), 0.1)


@pytest.mark.requirement("X17", "R54")
def test_a_value_and_the_same_value_read_back_from_json_have_the_same_bytes():
    data = canonical_json(VALUE)
    assert data == b'{"first":0.1,"second":[{"alpha":"one","zulu":"2026-01-02T03:04:05.000006Z"}]}'
    assert canonical_json(json.loads(data)) == data


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_value_hashes_the_same_after_a_round_trip(value):
    assert digest(json.loads(canonical_json(value))) == digest(value)


def test_a_value_without_canonical_bytes_is_refused_by_name():
    with pytest.raises(TypeError, match="object"):
        canonical_json(object())


def test_a_field_that_came_later_changes_no_hash_while_it_is_empty() -> None:
    before = {
        "vendor": "Volta",
        "model": None,
        "site_id": None,
        "firmware_version": None,
        "online": None,
        "charger_ids": [],
    }
    assert digest(ChargerFilter(vendor="Volta")) == digest(before)
    assert digest(ChargerFilter(vendor="Volta", query="online")) == digest({**before, "query": "online"})
