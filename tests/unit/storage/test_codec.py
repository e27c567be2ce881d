"""Nouns survive JSON; patches turn one section into the next."""

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.campaign import CampaignPlan, GatePolicy, Pace, WavePlan
from storage.canonical import canonical_json, digest
from storage.charger import ChargerFilter
from storage.codec import (
    apply_patch,
    decode,
    decode_event,
    decode_json,
    decode_twin,
    section_patch,
    to_json,
)
from storage.errors import InvalidInput
from storage.events import EVENT_TYPES, Event, EventKind
from storage.twin import SECTION_TYPES, OperationSection, TwinState

AT = datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC)
SCALARS = {
    str: st.text(max_size=8),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    datetime: st.integers(0, 10**9).map(lambda seconds: AT + timedelta(seconds=seconds)),
}


def any_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type as our nouns use them."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of([any_of(each) for each in args])
    if origin is tuple:
        return st.lists(any_of(args[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(any_of(args[0]), any_of(args[1]), max_size=3)
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{each.name: any_of(hints[each.name]) for each in fields(hint)})
    return st.sampled_from(list(hint)) if issubclass(hint, Enum) else SCALARS[hint]


operations = any_of(OperationSection)


@given(st.one_of([any_of(kind) for kind in EVENT_TYPES.values()]))
def test_every_event_comes_back(event: Event) -> None:
    kind = next(kind for kind, cls in EVENT_TYPES.items() if cls is type(event))
    assert decode_event(kind, to_json(event)) == event


@pytest.mark.parametrize("section", SECTION_TYPES.values(), ids=SECTION_TYPES)
def test_patches_lead_from_any_section_to_any_other(section: type) -> None:
    """Also from absence, and through JSON, as the history keeps them."""

    @given(st.none() | any_of(section), any_of(section))
    def check(before: object, after: object) -> None:
        stored = {} if before is None else to_json(before)
        patch = orjson.loads(canonical_json(section_patch(before, after)))
        assert decode(section, apply_patch(stored, patch)) == after

    check()


@given(operations)
def test_nothing_changed_is_an_empty_patch(section: OperationSection) -> None:
    same = decode(OperationSection, to_json(section))
    assert section_patch(section, same) == {}


@given(operations, operations)
def test_a_patch_names_only_what_changed(before: OperationSection, after: OperationSection) -> None:
    changed = {each.name for each in fields(after) if getattr(before, each.name) != getattr(after, each.name)}
    assert set(section_patch(before, after)) == changed


def test_applying_a_patch_leaves_its_arguments_alone() -> None:
    before = {"a": {"b": 1, "c": 2}, "d": 3}
    patch = {"a": {"b": None, "e": {"f": 1, "g": None}}, "d": {"h": 1}}
    assert apply_patch(before, patch) == {"a": {"c": 2, "e": {"f": 1}}, "d": {"h": 1}}
    assert before == {"a": {"b": 1, "c": 2}, "d": 3}
    assert patch["a"] == {"b": None, "e": {"f": 1, "g": None}}


def test_a_plan_hashes_to_the_same_after_a_round_trip() -> None:
    plan = CampaignPlan(
        "n",
        "a",
        ChargerFilter(charger_ids=("A",)),
        (WavePlan("w", 1.0),),
        GatePolicy(),
        Pace(),
        start_at=AT,
    )
    again = decode_json(CampaignPlan, canonical_json(plan))
    assert again == plan
    assert digest(again) == digest(plan)


def test_absent_sections_stay_absent_and_unknown_ones_are_left_out() -> None:
    twin = decode_twin("A", 3, {"firmware": {"version": "1.0"}, "operation": None, "weather": {"rain": True}})
    assert (twin.revision, twin.firmware.version) == (3, "1.0")
    assert [name for name in SECTION_TYPES if getattr(twin, name) is not None] == ["firmware"]
    assert decode_twin("A", 0, {}) == TwinState("A")


def test_a_field_of_a_newer_release_does_not_disturb_an_older_one() -> None:
    body = {"vendor": "V", "model": "M", "firmware_version": None, "colour": "red"}
    assert decode_event(EventKind.CHARGER_BOOTED, body).vendor == "V"


def test_what_does_not_fit_is_refused_with_every_field_and_no_value() -> None:
    body = {"vendor": ["secret"], "model": None, "firmware_version": "1"}
    with pytest.raises(InvalidInput, match="ChargerBooted") as caught:
        decode_event(EventKind.CHARGER_BOOTED, body)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["vendor", "model"]
    assert "secret" not in caught.value.diagnostics()
    with pytest.raises(InvalidInput):
        decode_json(CampaignPlan, b"{")
