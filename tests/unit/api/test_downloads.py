# long-file: one door, and every way in which a charger may ask at it
"""Downloads: only a valid ticket, any single range, and never a ticket in a log."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from api.app import create_app
from api.byte_ranges import ByteRange, parse_range
from api.download_desk import DeskLimits, Transfer
from api.downloads import RedactTickets, redact
from api.errors import RangeRefused
from api.ports import ApiLimits
from api.throttle import Throttle, Throttles
from storage.access import Role
from storage.canonical import sha256_hex
from storage.charger import DownloadTicket
from storage.errors import EngineUnavailable
from storage.read_budget import LARGEST, SMALLEST, ReadBudget
from storage.ticket_binding import bound_ticket
from storage.twin import ConnectivitySection
from storage.withdrawal import Source, Withdrawal, certificate_subject
from tests.support.house import NOW, House

IMAGE = bytes(range(256)) * 20
KEY = sha256_hex(IMAGE)
TICKET = bound_ticket(b"t" * 16, "CP-1", KEY)


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
async def test_a_node_whose_clock_is_ahead_makes_tickets_that_are_good_at_once() -> None:
    assert (await fetch(house_with_ticket(not_before=NOW + timedelta(minutes=4)))).status_code == 200


@pytest.mark.requirement("S66")
async def test_a_ticket_ends_with_the_certificate_that_was_sent_with_it() -> None:
    house = house_with_ticket()
    subject = certificate_subject("ab" * 32)
    ((hashed, row),) = house.tickets.tickets.items()
    house.tickets.tickets[hashed] = replace(row, certificates=(subject,))
    before = await fetch(house)
    await house.withdrawals.add([Withdrawal(subject, "its key leaked", Source.PERSON, "ann", NOW)])

    assert (before.status_code, (await fetch(house)).status_code) == (200, 410)


async def test_a_store_that_is_silent_about_the_length_is_a_503_while_the_charger_listens() -> None:
    house = house_with_ticket()
    house.app.state.desk.limits = replace(house.app.state.desk.limits, first_s=0.0)

    async def silent(key: str) -> int:
        await asyncio.Event().wait()
        raise AssertionError(key)

    house.blobs.length = silent

    assert (await fetch(house)).status_code == 503


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
        (house_with_ticket(not_before=NOW + timedelta(minutes=5, seconds=1)), "not valid yet"),
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


async def test_what_the_charger_has_already_is_not_sent_again() -> None:
    house = house_with_ticket()
    known = await fetch(house, **{"If-None-Match": f'"other", W/"{KEY}"'})
    anything = await fetch(house, **{"If-None-Match": "*"})
    right = await fetch(house, **{"If-Match": f'"{KEY}"'})
    wrong = await fetch(house, **{"If-Match": f'W/"{KEY}"'})
    dated = await fetch(house, Range="bytes=0-9", **{"If-Range": "Wed, 25 Nov 2026 12:00:00 GMT"})

    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["etag"] == f'"{KEY}"'
    assert [anything.status_code, right.status_code, wrong.status_code] == [304, 200, 412]
    assert (dated.status_code, len(dated.content)) == (200, len(IMAGE))


@pytest.mark.requirement("S43")
@pytest.mark.parametrize(
    "asked",
    [
        "bytes=" + ",".join(f"{n}-{n}" for n in range(2000)),
        "bytes=99999999999999999999999-",
        "bytes=0-99999999999999999999999",
        "bytes=-99999999999999999999999",
        "bytes=0x10-0x20",
        "bytes= 0 - 1",
        "Bytes=0-",
    ],
)
async def test_absurd_ranges_bring_the_whole_image_or_a_part_and_no_fault(asked: str) -> None:
    answer = await fetch(house_with_ticket(), Range=asked)

    assert answer.status_code in (200, 206)
    assert IMAGE.startswith(answer.content)


def expected_progress(house: House) -> tuple[int, int, int, bool]:
    noted = house.downloads.noted[sha256_hex(TICKET.encode())]
    return noted.position, noted.sent, noted.requests, noted.finished_at is not None


async def test_how_far_a_charger_got_is_written_down_and_shown() -> None:
    house = house_with_ticket()
    house.add_site()
    house.add_charger("CP-1")
    waiting = await downloads_of(house)
    await fetch(house, Range="bytes=0-99")
    await house.app.state.desk.note()
    begun = expected_progress(house)
    running = await downloads_of(house)
    await fetch(house, Range="bytes=100-")
    await house.app.state.desk.note()
    sent = await downloads_of(house)

    assert waiting["state"] == "waiting"
    assert begun == (100, 100, 1, False)
    assert (running["state"], running["position"], running["length"]) == ("running", 100, len(IMAGE))
    assert expected_progress(house) == (len(IMAGE), len(IMAGE), 2, True)
    assert sent["state"] == "sent"
    assert TICKET not in str(sent)


async def test_the_tail_alone_is_not_the_whole_image() -> None:
    house = house_with_ticket()
    await fetch(house, Range="bytes=-10")
    await house.app.state.desk.note()

    assert expected_progress(house) == (len(IMAGE), 10, 1, False)


async def downloads_of(house: House) -> dict[str, Any]:
    async with house.client(Role.VIEWER) as client:
        answer = await client.get("/api/v1/chargers/CP-1/downloads")
    found: dict[str, Any] = answer.json()["items"][0]
    return found


def transfer(house: House, address: str) -> Transfer:
    ticket = house.tickets.tickets[sha256_hex(TICKET.encode())]
    return Transfer(ticket, address, len(IMAGE), 0, house.now)


@pytest.mark.requirement("S43")
async def test_a_ticket_used_from_two_places_is_refused_and_a_security_event() -> None:
    house = house_with_ticket()
    with house.app.state.desk.seated(transfer(house, "192.0.2.7")):
        answers = [await fetch(house) for _ in range(2)]
        house.now += timedelta(seconds=6)  # the other one is silent: its charger moved
        moved = await fetch(house)

    assert [answer.status_code for answer in answers] == [409, 409]
    assert "CP-1" not in answers[0].text
    assert moved.status_code == 200
    assert house.audit.actions == ["security.ticket_refused"], "once a minute"
    event = house.audit.chain[0].entry
    assert (event.subject, event.detail["address"]) == ("charger/CP-1", "127.0.0.1")
    assert TICKET not in str(event)


@pytest.mark.requirement("S43")
async def test_another_process_is_another_place_too() -> None:
    house, other = house_with_ticket(), "192.0.2.7"
    with house.app.state.desk.seated(transfer(house, other)):
        await house.app.state.desk.note()
    elsewhere = create_app(house.services)
    async with house.client(app=elsewhere) as client:
        refused = await client.get(f"/d/{TICKET}")
        await house.app.state.desk.note()  # the transfer has ended, and is noted as ended
        accepted = await client.get(f"/d/{TICKET}")

    assert (refused.status_code, accepted.status_code) == (409, 200)


@pytest.mark.requirement("S43")
async def test_a_ticket_from_another_address_than_its_chargers_is_refused_where_that_is_asked_for() -> None:
    house = house_with_ticket()
    house.add_site()
    view = house.add_charger("CP-1")
    asked = replace(house.limits, same_address=True)
    app = create_app(replace(house.services, limits=asked))
    async with house.client(app=app) as client:
        unknown = await client.get(f"/d/{TICKET}")
        connectivity = replace(view.twin.connectivity or ConnectivitySection(), remote_address="127.0.0.1")
        house.chargers.all["CP-1"] = replace(view, twin=replace(view.twin, connectivity=connectivity))
        right = await client.get(f"/d/{TICKET}")

    assert (unknown.status_code, right.status_code) == (409, 200)
    assert house.audit.actions == ["security.ticket_refused"]


@pytest.mark.requirement("S43")
async def test_a_revoked_ticket_is_a_security_event_and_an_expired_one_is_not() -> None:
    revoked, expired = house_with_ticket(revoked=True), house_with_ticket(expires_at=NOW)
    for house in (revoked, expired):
        assert (await fetch(house)).status_code == 410

    assert revoked.audit.actions == ["security.ticket_refused"]
    assert expired.audit.actions == []


async def test_a_transfer_whose_ticket_was_revoked_ends() -> None:
    house = house_with_ticket()
    hashed = sha256_hex(TICKET.encode())
    with house.app.state.desk.seated(transfer(house, "192.0.2.7")) as running:
        await house.app.state.desk.note()
        before = running.over
        house.tickets.tickets[hashed] = replace(house.tickets.tickets[hashed], revoked=True)
        await house.app.state.desk.note()

    assert (before, running.over) == ("", "its ticket holds no more")


async def test_seats_are_bounded_and_given_back() -> None:
    house = House(limits=ApiLimits(downloads=DeskLimits(seats=1)))
    ticketed = house_with_ticket()
    house.blobs.objects, house.tickets.tickets = ticketed.blobs.objects, ticketed.tickets.tickets
    with house.app.state.desk.seated(transfer(house, "127.0.0.1")):
        full = await fetch(house)
    free = [(await fetch(house)).status_code for _ in range(3)]

    assert full.status_code == 503
    assert full.headers["retry-after"]
    assert free == [200, 200, 200]
    assert house.app.state.desk.taken == 0


async def test_a_store_that_is_silent_is_said_while_the_charger_still_listens() -> None:
    house = House(limits=ApiLimits(downloads=DeskLimits(first_s=0.01)))
    ticketed = house_with_ticket()
    house.blobs.objects, house.tickets.tickets = ticketed.blobs.objects, ticketed.tickets.tickets

    async def silent(*_: object, **__: object) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    house.blobs.read = silent  # type: ignore[assignment]
    answer = await fetch(house)

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert house.app.state.desk.taken == 0


async def test_an_image_that_is_not_there_is_our_fault_and_not_a_short_download() -> None:
    house = house_with_ticket()
    await fetch(house)
    house.blobs.objects.clear()
    answer = await fetch(house)

    assert answer.status_code == 503
    assert KEY not in answer.text
    assert house.app.state.desk.taken == 0


@given(rate=st.floats(1, 1e9), chunks=st.lists(st.integers(1, 10**6), min_size=1, max_size=30))
def test_no_more_bytes_pass_than_the_rate_allows(rate: float, chunks: list[int]) -> None:
    throttle = Throttle(rate)
    waits = [throttle.reserve(count, 100.0) for count in chunks]

    assert waits == sorted(waits), "turns come in the order they are asked for"
    assert waits[-1] >= sum(chunks) / rate - Throttle.BURST_S - 1e-6
    assert Throttle(0).reserve(10**12, 0.0) == 0.0


@given(
    total=st.sampled_from([0.0, 1.0, 1e5, 1e9]),
    site=st.sampled_from([0.0, 1e3, 1e8]),
    chunk=st.binary(max_size=9000),
)
def test_a_chunk_waits_for_its_turns_in_small_pieces(total: float, site: float, chunk: bytes) -> None:
    pieces = list(Throttles(total, site, lambda: 0.0).slices(chunk))

    assert b"".join(pieces) == chunk
    slowest = min(rate or 1e12 for rate in (total, site))
    assert all(len(one) <= max(1024, slowest / 100) for one in pieces)


async def test_what_a_slow_line_sends_is_noted_piece_by_piece() -> None:
    house = House(limits=ApiLimits(downloads=DeskLimits(bytes_per_s=1e6)))
    ticketed = house_with_ticket()
    house.blobs.objects, house.tickets.tickets = ticketed.blobs.objects, ticketed.tickets.tickets
    turns, throttles = [], house.app.state.desk.throttles

    async def turn(count: int, site_id: str) -> None:
        turns.append(count)

    throttles.pass_through = turn
    answer = await fetch(house)

    assert answer.content == IMAGE
    assert sum(turns) == len(IMAGE)
    assert max(turns) < len(IMAGE)


async def test_what_is_fetched_while_the_database_is_away_is_written_down_later() -> None:
    house = house_with_ticket()
    note = house.downloads.note

    async def away(_: object) -> frozenset[str]:
        raise EngineUnavailable("PostgreSQL is away.")

    house.downloads.note = away  # type: ignore[method-assign]
    for part in ("bytes=0-99", "bytes=100-999"):
        await fetch(house, Range=part)
        await house.app.state.desk.note()
    house.downloads.note = note  # type: ignore[method-assign]
    await fetch(house, Range="bytes=1000-")
    await house.app.state.desk.note()
    await house.app.state.desk.note()

    assert expected_progress(house) == (len(IMAGE), len(IMAGE), 3, True)


async def test_sites_are_paced_one_by_one_and_forgotten_when_idle() -> None:
    clock = [0.0]
    throttles = Throttles(0.0, 1000.0, lambda: clock[0])
    await throttles.pass_through(100, "harbour")
    clock[0] = 10.0
    await throttles.pass_through(100, "airport")

    assert set(throttles._sites) == {"airport"}


@given(st.lists(st.integers(1, 10**6), max_size=60))
def test_readers_at_once_share_one_budget(reads: list[int]) -> None:
    budget, total = ReadBudget(4 * 1024**2), 0
    for wanted in reads:
        took = min(wanted, budget.size())
        assert took <= LARGEST
        budget.took(took)
        total += took
    assert total <= 4 * 1024**2 + len(reads) * SMALLEST
    budget.gave(total)
    assert budget.held == 0
