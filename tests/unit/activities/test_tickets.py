"""Tickets live as long as their charger may need, are short, and lead where it can fetch."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.addresses import fetch_window
from activities.tickets import FetchWindow, TicketOffice
from storage.capability import Declared
from storage.charger import ModelProfile
from tests.support.house import charger_view
from tests.support.memory import MemoryTickets

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
seconds = st.floats(0, 10**6)


@pytest.mark.requirement("S44")
@given(
    each=seconds,
    delay=st.floats(-(10**6), 10**7),
    retries=st.integers(0, 50),
    interval=seconds,
)
def test_a_ticket_outlives_the_planned_fetch_and_every_retry(
    each: float, delay: float, retries: int, interval: float
) -> None:
    planned = NOW + timedelta(seconds=delay)
    ends = FetchWindow(each, planned, retries, interval).ends(NOW)

    assert ends >= planned + timedelta(seconds=retries * interval)
    assert ends >= NOW + timedelta(seconds=each)
    assert FetchWindow(each).ends(NOW) == NOW + timedelta(seconds=each)


@pytest.mark.requirement("S43", "S44")
async def test_a_scheduled_fetch_finds_its_ticket_good_to_the_end() -> None:
    tickets = MemoryTickets()
    office = TicketOffice(tickets, bytes, "https://ampwave.example", lambda: NOW)  # type: ignore[arg-type]
    planned = NOW + timedelta(days=8)  # further than any presigned S3 address lives
    location = await office.mint("CP-1", "ab" * 32, FetchWindow(600, planned, 3, 300))
    (ticket,) = tickets.tickets.values()

    assert ticket.expires_at == planned + timedelta(seconds=600 + 3 * 900)
    assert len(location.rsplit("/", 1)[1]) <= 128
    assert location.startswith("https://ampwave.example/d/")


@pytest.mark.requirement("S30")
@pytest.mark.parametrize(
    ("transfers", "plain_url", "scheme"),
    [
        (("HTTP",), "http://plain.example", "http"),
        (("HTTP",), None, "https"),
        (("HTTP", "HTTPS"), "http://plain.example", "https"),
        (None, "http://plain.example", "https"),
        (("FTP",), "http://plain.example", "https"),
    ],
)
async def test_only_a_model_that_cannot_do_better_is_sent_to_the_unsafe_address(
    transfers: tuple[str, ...] | None, plain_url: str | None, scheme: str
) -> None:
    office = TicketOffice(
        MemoryTickets(),  # type: ignore[arg-type]
        bytes,
        "https://ampwave.example",
        lambda: NOW,
        plain_url=plain_url,
    )
    profile = ModelProfile("Volta", "V22", declared=Declared(transfers=transfers))
    window = fetch_window(charger_view("CP-1"), profile, 60)

    assert (await office.mint("CP-1", "ab" * 32, window)).startswith(f"{scheme}://")
