"""Which of a local controller's addresses may go to a charger."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.local_images import usable
from storage.charger import Charger, ModelProfile
from storage.ports import ChargerView
from storage.twin import TwinState

VIEW = ChargerView(Charger("CP-1", "depot", "Voltworks", "VW-22"), TwinState("CP-1"))
PROFILE = ModelProfile("Voltworks", "VW-22")
GOOD = "http://192.0.2.1/image"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "image",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http://[broken",
        "http://host:99999/",
        "http://host/a b",
        "http://host/\n",
        "http://höst/",
        "http://host/" + "x" * 600,
    ],
)
def test_what_is_no_address_of_a_place_is_passed_over(bad: str) -> None:
    assert usable([bad], VIEW, PROFILE) is None
    assert usable([bad, GOOD], VIEW, PROFILE) == GOOD


@given(st.lists(st.text(max_size=60), max_size=5))
def test_only_what_was_reported_is_ever_given_out(locations: list[str]) -> None:
    assert usable(locations, VIEW, PROFILE) in (None, *locations)
