"""Logs at the doors: who may ask and read, and what chargers may hand in."""

import hashlib
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from api.downloads import RedactTickets, redact
from api.log_uploads import UploadSeats
from api.ports import ApiLimits
from storage.access import Role
from storage.canonical import sha256_hex
from storage.errors import EngineUnavailable
from storage.log import LogState, UploadTicket
from tests.support.house import House

TICKET = "t" * 43
PLACE = "/api/v1/chargers/CP-1/logs"
LOG = b"2026-11-20 started\n" * 100


def house(**limits: Any) -> House:
    made = House(limits=ApiLimits(**limits))
    made.add_site()
    made.add_charger("CP-1")
    return made


async def ask(made: House, role: Role = Role.ADMIN, key: str = "", **body: Any) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    async with made.client(role) as client:
        return await client.post(PLACE, json=body, headers=headers)


async def ready(made: House, kind: str = "diagnostics") -> int:
    """A request that the charger was told of."""
    log_id: int = (await ask(made, kind=kind)).json()["log_id"]
    await made.logs.add_ticket(
        UploadTicket(sha256_hex(TICKET.encode()), "CP-1", log_id, made.now, made.now + timedelta(minutes=15))
    )
    return log_id


async def hand_in(
    made: House, content: Any = LOG, *, method: str = "PUT", path: str = f"/u/{TICKET}", **more: Any
) -> httpx2.Response:
    async with made.client() as client:
        return await client.request(method, path, content=content, **more)


# Asking.


@pytest.mark.requirement("R53")
@pytest.mark.parametrize("role", list(Role))
async def test_who_may_ask_for_which_log(role: Role) -> None:
    diagnostics = role in (Role.OPERATOR, Role.SECURITY, Role.ADMIN)
    security = role in (Role.SECURITY, Role.ADMIN)
    made = house()
    assert (await ask(made, role, kind="diagnostics")).status_code == (202 if diagnostics else 403)
    assert (await ask(made, role, kind="security")).status_code == (202 if security else 403)
    assert len(made.orchestrator.asked) == diagnostics + security


async def test_a_log_that_is_asked_for_is_found_at_its_place() -> None:
    made = house()
    since = "2026-11-19T00:00:00Z"
    answer = await ask(made, kind="security", since=since, deadline_seconds=60)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["state"], body["kind"], body["since"], body["upload"]) == (
        *("requested", "security", since),
        None,
    )
    async with made.client(Role.VIEWER) as client:
        assert (await client.get(answer.headers["location"])).json() == body
        assert (await client.get(PLACE)).json()["items"] == [body]
        assert (await client.get(answer.headers["location"].replace("CP-1", "CP-2"))).status_code == 404
    [(_, given)] = made.orchestrator.asked
    assert (given.request_id, given.charger_id, given.deadline_seconds) == (body["log_id"], "CP-1", 60.0)


async def test_a_repeat_under_the_same_key_is_the_same_log() -> None:
    made = house()
    first, second = await ask(made, key="k", kind="security"), await ask(made, key="k", kind="security")
    assert first.json() == second.json()
    other = await ask(made, key="k", kind="diagnostics")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "love"},
        {"deadline_seconds": 1},
        {"since": "2026-11-20T00:00:00Z", "until": "2026-11-19T00:00:00Z"},
        {"since": "yesterday"},
    ],
)
async def test_nonsense_is_refused(body: dict[str, Any]) -> None:
    made = house()
    assert (await ask(made, **body)).status_code == 422
    assert made.logs.rows == {}


# Handing in.


@pytest.mark.requirement("F77")
@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"/u/{TICKET}", "diagnostics-1.log"),
        (f"/u/{TICKET}/", "diagnostics-1.log"),
        (f"/u/{TICKET}/boot%20log.txt", "boot_log.txt"),
        (f"/u/{TICKET}/a/b/../c.log", "c.log"),
        (f"/u/{TICKET}/..%2F..%2Fetc%2Fpasswd", "passwd"),
    ],
)
async def test_a_log_is_taken_in_as_it_is(method: str, path: str, name: str) -> None:
    made = house()
    log_id = await ready(made)
    answer = await hand_in(made, method=method, path=path)
    assert answer.status_code == 201, answer.text
    sha256 = hashlib.sha256(LOG).hexdigest()
    assert answer.json() == {"filename": name, "length": len(LOG), "sha256": sha256}
    upload = (await made.logs.get(log_id)).upload
    assert upload is not None
    assert made.blobs.objects == {upload.object_key: LOG}
    assert made.orchestrator.asked[-1] == ("log_arrived", "CP-1", log_id)


@pytest.mark.requirement("F107")
async def test_a_log_that_has_had_its_time_is_on_record_and_not_to_be_had() -> None:
    made = house()
    log_id = await ready(made)
    await hand_in(made)
    assert await made.logs.set_removed(log_id, made.now)
    async with made.client(Role.ADMIN) as client:
        shown = (await client.get(f"/api/v1/chargers/CP-1/logs/{log_id}")).json()
        answer = await client.get(f"/api/v1/chargers/CP-1/logs/{log_id}/content")
    assert shown["upload"]["sha256"] == hashlib.sha256(LOG).hexdigest()
    assert shown["upload"]["removed_at"]
    assert answer.status_code == 409
    assert "removed on" in answer.json()["detail"]
    assert "log.downloaded" not in made.audit.actions


@pytest.mark.requirement("F77")
async def test_a_log_in_a_form_is_taken_out_of_it() -> None:
    made = house()
    log_id = await ready(made)
    async with made.client() as client:
        answer = await client.post(
            f"/u/{TICKET}", data={"note": "x"}, files={"f": ("d:\\logs\\diag.log", LOG, "text/plain")}
        )
    assert answer.status_code == 201, answer.text
    upload = (await made.logs.get(log_id)).upload
    assert upload is not None
    assert (upload.filename, made.blobs.objects[upload.object_key]) == ("diag.log", LOG)


async def test_a_second_upload_is_told_so_and_changes_nothing() -> None:
    made = house()
    await ready(made)
    await hand_in(made)
    answer = await hand_in(made, b"other")
    assert answer.status_code == 409
    assert "was used" in answer.json()["detail"]
    assert list(made.blobs.objects.values()) == [LOG]


async def test_the_slower_of_two_uploads_leaves_nothing() -> None:
    made = house()
    log_id = await ready(made)

    async def slow() -> AsyncIterator[bytes]:
        yield b"one"
        assert (await hand_in(made)).status_code == 201
        yield b"two"

    answer = await hand_in(made, slow())
    assert answer.status_code == 410
    upload = (await made.logs.get(log_id)).upload
    assert upload is not None
    assert made.blobs.objects == {upload.object_key: LOG}


async def test_leave_that_is_taken_back_during_an_upload_ends_it() -> None:
    made = house()
    log_id = await ready(made)

    async def overtaken() -> AsyncIterator[bytes]:
        yield b"one"
        await made.logs.revoke(log_id)
        yield b"two"

    assert (await hand_in(made, overtaken())).status_code == 410
    assert made.blobs.objects == {}


@pytest.mark.requirement("S43")
async def test_a_ticket_holds_only_in_its_window() -> None:
    made = house()
    log_id = await ready(made)
    began = made.now
    for moment in (began - timedelta(minutes=6), began + timedelta(minutes=15)):
        made.now = moment
        assert (await hand_in(made)).status_code == 410
    made.now = began
    await made.logs.revoke(log_id)
    assert (await hand_in(made)).status_code == 410
    for unknown in ("x" * 43, "short", "y" * 500):
        assert (await hand_in(made, path=f"/u/{unknown}")).status_code == 404
    async with made.client() as client:
        assert (await client.get(f"/u/{TICKET}")).status_code == 405
    assert made.blobs.objects == {}


@pytest.mark.parametrize("declared", [True, False])
async def test_a_log_that_is_too_long_leaves_nothing(declared: bool) -> None:
    made = house(log_bytes=1000)
    await ready(made)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b"x" * 1000

    answer = await hand_in(made, b"x" * 300_000 if declared else chunks())
    assert answer.status_code == 413
    assert made.blobs.objects == {}
    assert (await hand_in(made, b"x" * 1000)).status_code == 201


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"", "application/octet-stream"),
        (
            b"--XX\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nabc",
            "multipart/form-data; boundary=XX",
        ),
        (b"abc", "multipart/form-data"),
    ],
)
async def test_what_is_empty_or_cut_off_leaves_nothing(content: bytes, content_type: str) -> None:
    made = house()
    log_id = await ready(made)
    answer = await hand_in(made, content, headers={"Content-Type": content_type})
    assert answer.status_code == 422
    assert made.blobs.objects == {}
    assert (await made.logs.get(log_id)).upload is None
    assert (await hand_in(made)).status_code == 201, "the charger may try again"


async def test_a_charger_that_vanishes_in_the_middle_leaves_nothing() -> None:
    made = house()
    log_id = await ready(made)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"one", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "PUT",
        "path": f"/u/{TICKET}",
        "raw_path": f"/u/{TICKET}".encode(),
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "server": ("test", 80),
        "client": ("test", 1),
        "asgi": {"version": "3.0"},
    }
    await made.app(scope, receive, send)
    assert sent[0]["status"] == 422
    assert made.blobs.objects == {}
    assert (await made.logs.get(log_id)).upload is None


async def test_a_store_that_fails_after_the_bytes_came_leaves_nothing() -> None:
    made = house()
    await ready(made)

    async def away(*_: Any) -> bool:
        raise EngineUnavailable("PostgreSQL is away.")

    made.logs.add_upload = away  # type: ignore[method-assign]
    assert (await hand_in(made)).status_code == 503
    assert made.blobs.objects == {}


async def test_a_hint_that_gets_lost_is_no_failure() -> None:
    made = house()
    log_id = await ready(made)
    made.orchestrator.failure = EngineUnavailable("Temporal did not answer.")
    assert (await hand_in(made)).status_code == 201
    assert (await made.logs.get(log_id)).upload is not None


async def test_more_uploads_than_seats_are_told_to_come_again() -> None:
    made = house(log_uploads=1)
    await ready(made)
    seats: UploadSeats = made.app.state.log_seats
    with seats.seated(0):
        answer = await hand_in(made)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/too-many-uploads")
    assert "retry-after" in answer.headers
    assert (await hand_in(made)).status_code == 201


async def test_one_log_does_not_take_all_seats() -> None:
    made = house(log_uploads=16)
    log_id = await ready(made)
    seats: UploadSeats = made.app.state.log_seats
    with seats.seated(log_id), seats.seated(log_id):
        answer = await hand_in(made)
        with seats.seated(log_id + 1):
            assert seats.taken == 3
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/too-many-uploads")
    assert "2 uploads of this log" in answer.text
    assert seats.taken == 0
    assert (await hand_in(made)).status_code == 201


@pytest.mark.requirement("S43")
def test_upload_tickets_are_in_no_log() -> None:
    assert redact(f"/u/{TICKET}/a.log") == "/u/[ticket]"
    record = logging.LogRecord("x", 20, "", 1, "%s", (f"PUT /u/{TICKET}",), None)
    RedactTickets().filter(record)
    assert TICKET not in record.getMessage()


# Reading.


@pytest.mark.requirement("R53")
@pytest.mark.parametrize("kind", ["diagnostics", "security"])
@pytest.mark.parametrize("role", list(Role))
async def test_who_may_read_which_log(kind: str, role: Role) -> None:
    allowed = {
        "diagnostics": (Role.OPERATOR, Role.SECURITY, Role.ADMIN),
        "security": (Role.SECURITY, Role.ADMIN),
    }
    made = house()
    log_id = await ready(made, kind)
    await hand_in(made)
    async with made.client(role) as client:
        answer = await client.get(f"{PLACE}/{log_id}/content")
    if role not in allowed[kind]:
        assert answer.status_code == 403
        return
    assert answer.content == LOG
    assert answer.headers["etag"].strip('"') == hashlib.sha256(LOG).hexdigest()
    assert answer.headers["content-disposition"] == f'attachment; filename="{kind}-{log_id}.log"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert made.audit.actions[-1] == "log.downloaded"


async def test_what_has_not_come_cannot_be_read() -> None:
    made = house()
    log_id = await ready(made)
    await made.logs.set_state(log_id, LogState.OVERDUE, "nothing arrived in time", made.now)
    async with made.client(Role.ADMIN) as client:
        answer = await client.get(f"{PLACE}/{log_id}/content")
        assert (await client.get(f"{PLACE}/999/content")).status_code == 404
    assert answer.status_code == 409
    assert "nothing arrived in time" in answer.json()["detail"]
