"""People's commands and the logs they ask for, as PostgreSQL keeps them."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.command import CommandEnd, CommandRecord, CommandState
from storage.errors import NotFound
from storage.log import LogRequest, LogSort, LogState, LogUpload, UploadTicket
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.commands import PostgresCommandStore
from storage.postgres.logs import PostgresLogStore
from storage.postgres.request_keys import PostgresRequestKeyStore
from tests.integration.storage.conftest import NOW

pytestmark = pytest.mark.integration

COMMAND = CommandRecord(
    "c-1", "A", "reset", {"kind": "on-idle"}, "ab" * 32, "olga", NOW, NOW + timedelta(seconds=30)
)
ANSWERED = CommandEnd(CommandState.ANSWERED, "it answered Accepted", "Accepted", {"values": [["A.B", "1"]]})
LOG = LogRequest(7, "A", LogSort.SECURITY, "sam", NOW, NOW + timedelta(minutes=10), since=NOW)
TICKET = UploadTicket("aa" * 32, "A", 7, NOW, NOW + timedelta(minutes=10))
UPLOAD = LogUpload(7, "logs/7/x", "security.log", 12, "cd" * 32, NOW)


@pytest.fixture
def commands(engine: AsyncEngine, chargers: PostgresChargerStore) -> PostgresCommandStore:
    return PostgresCommandStore(engine)


@pytest.fixture
def logs(engine: AsyncEngine, chargers: PostgresChargerStore) -> PostgresLogStore:
    return PostgresLogStore(engine)


async def test_a_command_is_opened_once_and_its_first_end_stands(commands: PostgresCommandStore) -> None:
    assert await commands.open(COMMAND) == COMMAND
    other = replace(COMMAND, request_sha256="cd" * 32, actor="mallory")
    assert await commands.open(other) == COMMAND, "what is there stands"
    later = NOW + timedelta(seconds=2)
    assert await commands.close("c-1", ANSWERED, later)
    assert not await commands.close("c-1", CommandEnd(CommandState.SILENT, "no answer"), later)
    assert await commands.get("c-1") == replace(COMMAND, end=ANSWERED, finished_at=later)
    with pytest.raises(NotFound):
        await commands.get("c-2")


async def test_a_key_is_bound_to_one_request_also_of_many_at_once(engine: AsyncEngine) -> None:
    keys = PostgresRequestKeyStore(engine)
    claims = await asyncio.gather(*(keys.claim("campaign/c/1", f"{n:064}", NOW) for n in range(8)))
    assert len(set(claims)) == 1, "one of them was first, and all are told which"
    assert await keys.claim("campaign/c/1", "f" * 64, NOW) == claims[0]
    assert await keys.claim("campaign/c/2", "f" * 64, NOW) == "f" * 64


async def test_the_latest_commands_of_a_charger_come_newest_first(commands: PostgresCommandStore) -> None:
    for number in range(3):
        await commands.open(
            replace(COMMAND, command_id=f"c-{number}", requested_at=NOW + timedelta(seconds=number))
        )
    await commands.open(replace(COMMAND, command_id="other", charger_id="B"))
    assert [one.command_id for one in await commands.latest("A", limit=2)] == ["c-2", "c-1"]


async def test_the_same_key_is_the_same_log_request(logs: PostgresLogStore) -> None:
    keyed = replace(LOG, request_key="k")
    assert await logs.open(keyed) == keyed
    assert await logs.open(replace(keyed, request_id=8, kind=LogSort.DIAGNOSTICS)) == keyed
    assert await logs.open(replace(LOG, request_id=9)) == replace(LOG, request_id=9), "no key: its own"
    assert [one.request_id for one in await logs.latest("A")] == [9, 7]


async def test_a_log_request_that_ended_moves_no_more(logs: PostgresLogStore) -> None:
    await logs.open(LOG)
    assert await logs.set_state(7, LogState.ASKED, "it will upload a.log", None)
    assert await logs.set_state(7, LogState.OVERDUE, "nothing came", NOW)
    assert not await logs.set_state(7, LogState.UPLOADED, "it came", NOW)
    found = await logs.get(7)
    assert (found.state, found.reason, found.finished_at) == (LogState.OVERDUE, "nothing came", NOW)
    with pytest.raises(NotFound):
        await logs.get(8)


async def test_of_many_uploads_at_once_one_stands(logs: PostgresLogStore) -> None:
    await logs.open(LOG)
    await logs.add_ticket(TICKET)
    uploads = [replace(UPLOAD, object_key=f"logs/7/{number}") for number in range(8)]
    stood = await asyncio.gather(*(logs.add_upload(one, TICKET.ticket_sha256) for one in uploads))
    assert sum(stood) == 1
    assert (await logs.get(7)).upload == uploads[stood.index(True)]


async def test_a_ticket_that_was_taken_back_stores_nothing(logs: PostgresLogStore) -> None:
    await logs.open(LOG)
    await logs.add_ticket(TICKET)
    assert await logs.ticket(TICKET.ticket_sha256) == TICKET
    assert await logs.revoke(7) == 1
    assert await logs.revoke(7) == 0
    assert await logs.ticket(TICKET.ticket_sha256) == replace(TICKET, revoked=True)
    assert not await logs.add_upload(UPLOAD, TICKET.ticket_sha256)
    assert (await logs.get(7)).upload is None
    assert await logs.ticket("bb" * 32) is None


async def test_old_logs_are_found_oldest_first_and_removed_once(logs: PostgresLogStore) -> None:
    for number in (7, 8, 9):
        await logs.open(replace(LOG, request_id=number))
        ticket = replace(TICKET, request_id=number, ticket_sha256=f"{number:064}")
        await logs.add_ticket(ticket)
        at = NOW - timedelta(days=number)
        upload = replace(UPLOAD, request_id=number, object_key=f"logs/{number}/x", received_at=at)
        assert await logs.add_upload(upload, ticket.ticket_sha256)
    before = NOW - timedelta(days=7)
    assert [one.request_id for one in await logs.outlived(before, limit=5)] == [9, 8]
    assert [one.request_id for one in await logs.outlived(before, limit=1)] == [9]
    assert await logs.set_removed(9, NOW)
    assert not await logs.set_removed(9, NOW)
    assert not await logs.set_removed(10, NOW), "nothing arrived of it"
    found = (await logs.get(9)).upload
    assert found is not None
    assert (found.removed_at, found.sha256) == (NOW, UPLOAD.sha256)
    assert [one.request_id for one in await logs.outlived(before, limit=5)] == [8]
    keys = ["logs/7/x", "logs/9/x", "logs/11/x"]
    assert await logs.kept_objects(keys) == {"logs/7/x"}
    assert await logs.kept_objects([]) == frozenset()
