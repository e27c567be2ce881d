"""Nouns survive JSON; patches turn one section into the next."""

from dataclasses import fields

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
from tests.support.nouns import AT, any_of

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
