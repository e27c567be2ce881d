"""A ticket hands out the image it was made for, whatever its row says by now."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.charger import DownloadTicket
from storage.ticket_binding import bound_ticket, is_of

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ROW = DownloadTicket("0" * 64, "CP-1", "a" * 64, NOON, NOON)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=48)


@pytest.mark.requirement("S43")
@given(
    st.binary(min_size=16, max_size=16), names, names, st.text("0123456789abcdef", min_size=64, max_size=64)
)
def test_it_is_of_its_charger_and_image_and_of_no_other(
    secret: bytes, charger: str, other: str, image: str
) -> None:
    text = bound_ticket(secret, charger, image)
    row = replace(ROW, charger_id=charger, artifact_sha256=image)
    assert len(text) == 44
    assert is_of(text, row)
    assert is_of(text, replace(row, charger_id=other)) is (other == charger)
    assert not is_of(text, replace(row, artifact_sha256="x" * 64))


@pytest.mark.requirement("S43")
@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=43, max_size=43))
def test_nobody_guesses_one(text: str) -> None:
    assert not is_of("b" + text, ROW)


@pytest.mark.requirement("S43")
@pytest.mark.parametrize(
    "text", ["x" * 43, "c" + "x" * 43, "b" + "x" * 42 + "=", "b" + "x" * 44, "b" + "é" * 43, ""]
)
def test_what_is_not_bound_to_anything_is_of_nothing(text: str) -> None:
    """A database administrator can write the row of a ticket that he made up."""
    assert not is_of(text, ROW)
