"""Downloads: only a valid ticket, any single range, and never a ticket in a log."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta

import httpx2
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from api.downloads import ByteRange, RedactTickets, parse_range, redact
from api.errors import RangeRefused
from storage.canonical import sha256_hex
from storage.charger import DownloadTicket
from storage.ticket_binding import bound_ticket
from tests.support.house import NOW, House

TICKET = "T" * 43
IMAGE = bytes(range(256)) * 20
KEY = sha256_hex(IMAGE)


def house_with_ticket(
    *,
    not_before: datetime = NOW - timedelta(minutes=1),
    expires_at: datetime = NOW + timedelta(hours=1),
    revoked: bool = False,
) -> House:
    house = House()
    house.blobs.objects[KEY] = IMAGE
    hashed = sha256_hex(TICKET.encode())
    house.tickets.tickets[hashed] = DownloadTicket(hashed, "CP-1", KEY, not_before, expires_at, revoked)
    return house


async def fetch(house: House, method: str = "GET", text: str = TICKET, **headers: str) -> httpx2.Response:
    async with house.client() as client:
        return await client.request(method, f"/d/{text}", headers=headers)


@pytest.mark.requirement("S43")
async def test_a_ticket_brings_the_whole_image() -> None:
    house = house_with_ticket()
    answer = await fetch(house)

    assert answer.status_code == 200
    assert answer.content == IMAGE
    assert answer.headers["etag"] == f'"{KEY}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert house.app.state.metrics.download_bytes._value.get() == len(IMAGE)


@pytest.mark.requirement("S43")
async def test_a_row_that_names_another_image_or_charger_by_now_hands_out_nothing() -> None:
    house = house_with_ticket()
    text = bound_ticket(b"s" * 16, "CP-1", KEY)
    hashed = sha256_hex(text.encode())
    row = DownloadTicket(hashed, "CP-1", KEY, NOW - timedelta(minutes=1), NOW + timedelta(hours=1))
    house.blobs.objects["0" * 64] = b"evil"
    answers = {}
    for artifact, charger in ((KEY, "CP-1"), ("0" * 64, "CP-1"), (KEY, "CP-2")):
        house.tickets.tickets[hashed] = replace(row, artifact_sha256=artifact, charger_id=charger)
        answers[artifact, charger] = (await fetch(house, text=text)).status_code

    assert list(answers.values()) == [200, 404, 404]


@pytest.mark.requirement("S43")
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-99", IMAGE[:100]),
        ("bytes=5000-", IMAGE[5000:]),
        ("bytes=-20", IMAGE[-20:]),
        ("bytes=5000-999999", IMAGE[5000:]),
        ("bytes=-999999", IMAGE),
    ],
)
async def test_a_broken_download_resumes_by_range(asked: str, expected: bytes) -> None:
    answer = await fetch(house_with_ticket(), Range=asked)

    first = len(IMAGE) - len(expected) if asked != "bytes=0-99" else 0
    assert answer.status_code == 206
    assert answer.content == expected
    assert answer.headers["content-length"] == str(len(expected))
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(IMAGE)}"


@pytest.mark.parametrize("asked", ["bytes=5120-", "bytes=9999-10000", "bytes=-0"])
async def test_a_range_beyond_the_end_is_416_with_the_length(asked: str) -> None:
    answer = await fetch(house_with_ticket(), Range=asked)

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(IMAGE)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "items=0-1", "bytes=9-3", "bytes=-", "nonsense"])
async def test_a_range_that_is_none_brings_the_whole_image(asked: str) -> None:
    answer = await fetch(house_with_ticket(), Range=asked)

    assert (answer.status_code, len(answer.content)) == (200, len(IMAGE))


async def test_a_range_of_another_image_brings_the_whole_one() -> None:
    house = house_with_ticket()
    same = await fetch(house, Range="bytes=0-9", **{"If-Range": f'"{KEY}"'})
    other = await fetch(house, Range="bytes=0-9", **{"If-Range": '"other"'})

    assert (same.status_code, other.status_code) == (206, 200)
    assert other.content == IMAGE


async def test_head_tells_the_length_and_reads_nothing() -> None:
    house = house_with_ticket()
    answer = await fetch(house, "HEAD")

    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len(IMAGE))
    assert answer.content == b""
    assert house.blobs.reads == 0


@pytest.mark.requirement("S43")
@pytest.mark.parametrize(
    ("house", "says"),
    [
        (house_with_ticket(revoked=True), "revoked"),
        (house_with_ticket(expires_at=NOW), "expired"),
        (house_with_ticket(not_before=NOW + timedelta(seconds=1)), "not valid yet"),
    ],
)
async def test_a_ticket_outside_its_window_is_gone_for_its_holder(house: House, says: str) -> None:
    answer = await fetch(house)

    assert answer.status_code == 410
    assert says in answer.json()["detail"]
    assert "CP-1" not in answer.text


@pytest.mark.parametrize("text", ["U" * 43, "short", "T" * 129, KEY, "%2e%2e%2fetc"])
async def test_any_other_ticket_is_an_unknown_path_and_is_not_repeated(text: str) -> None:
    answer = await fetch(house_with_ticket(), text=text)

    assert answer.status_code == 404
    assert text not in answer.text


async def test_a_write_to_a_ticket_is_not_offered() -> None:
    assert (await fetch(house_with_ticket(), "POST")).status_code == 405


@pytest.mark.requirement("S43")
async def test_no_log_line_and_no_metric_holds_a_ticket() -> None:
    house = house_with_ticket()
    with structlog.testing.capture_logs() as lines:
        await fetch(house)
    async with house.client() as client:
        metrics = await client.get("/metrics")

    assert [line["path"] for line in lines] == ["/d/[ticket]"]
    assert TICKET not in metrics.text
    assert 'route="/d/{ticket}"' in metrics.text


def test_uvicorns_own_access_log_loses_the_ticket_too() -> None:
    record = logging.LogRecord(
        "uvicorn.access", 20, "", 0, '%s - "%s %s"', ("1.2.3.4", "GET", f"/d/{TICKET}?x=1"), None
    )

    assert RedactTickets().filter(record)
    assert record.getMessage() == '1.2.3.4 - "GET /d/[ticket]?x=1"'
    assert redact("/api/v1/d/x") == "/api/v1/d/[ticket]"


@given(length=st.integers(1, 10_000), first=st.integers(0, 12_000), last=st.none() | st.integers(0, 12_000))
def test_a_range_is_always_inside_the_object(length: int, first: int, last: int | None) -> None:
    header = f"bytes={first}-{'' if last is None else last}"
    try:
        part = parse_range(header, length)
    except RangeRefused:
        assert first >= length
        return
    if part is None:
        assert last is not None
        assert last < first
    else:
        assert part.first == first
        assert part.last == min(length - 1 if last is None else last, length - 1)
        assert part.length > 0


@given(length=st.integers(1, 10_000), suffix=st.integers(1, 12_000))
def test_a_suffix_is_the_end_of_the_object(length: int, suffix: int) -> None:
    assert parse_range(f"bytes=-{suffix}", length) == ByteRange(max(0, length - suffix), length - 1)
