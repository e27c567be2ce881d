"""One timeline of a charger: what it said, what that changed, and what people did (F10)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from csms.projection import project
from storage.chronicle import Entry, question_of
from storage.command import CommandEnd, CommandRecord, CommandState
from storage.desired import DesiredChange
from storage.errors import InvalidInput
from storage.events import (
    ChargerBooted,
    CommandSent,
    ConnectorStatus,
    ConnectorStatusChanged,
    EventRecord,
    FrameRejected,
    HeartbeatReceived,
    SecurityEventReported,
)
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.commands import PostgresCommandStore
from storage.postgres.events import PostgresEventStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.twins import PostgresTwinStore

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WORDS = ("event", "act", "change")


def at(minute: int) -> datetime:
    return AT + timedelta(minutes=minute)


def told(minute: int, event: Any) -> EventRecord:
    return EventRecord("A", event, at(minute), at(minute), 1)


@pytest.fixture
async def events(engine: AsyncEngine, chargers: PostgresChargerStore) -> PostgresEventStore:
    """Eight minutes of charger A, on whom somebody works meanwhile; B boots once."""
    ingest, twins = PostgresIngestStore(engine), PostgresTwinStore(engine, project)
    commands = PostgresCommandStore(engine)
    for record in (
        told(0, ChargerBooted("Volt", "V2", "1.0")),
        told(1, ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE)),
        told(2, ConnectorStatusChanged(1, 1, ConnectorStatus.FAULTED, error_code="GroundFailure")),
        told(3, SecurityEventReported("InvalidFirmwareSignature", at(3))),
        EventRecord("B", ChargerBooted("Volt", "V2", "1.0"), at(3), at(3), 1),
    ):
        await ingest.commit([], [record], project)
    body = {"values": {"LightIntensity": "50"}}
    await twins.set_desired(DesiredChange("A", "configuration", body, 0, "ada", "request/1", at(4)))
    deadline = at(9)
    await commands.open(
        CommandRecord("c-1", "A", "reset", {"kind": "hard"}, "ab" * 32, "olga", at(5), deadline)
    )
    await commands.close("c-1", CommandEnd(CommandState.ANSWERED, "it answered", "Accepted"), at(6))
    for record in (
        told(5, CommandSent("Reset", "m-1")),
        told(6, FrameRejected("m-2", "FormationViolation", "no JSON")),
        told(7, ChargerBooted("Volt", "V2", "1.1")),
        told(8, HeartbeatReceived()),
    ):
        await ingest.commit([], [record], project)
    return PostgresEventStore(engine)


async def lines(store: PostgresEventStore, *words: str, **options: Any) -> list[str]:
    page = await store.chronicle("A", question_of(words, **options))
    assert page.next_cursor is None
    return [_line(entry) for entry in page.items]


def _line(entry: Entry) -> str:
    minute = int((entry.received_at - AT).total_seconds() // 60)
    what = f"{entry.body['section']} {entry.body['side']}" if entry.source == "twin" else entry.kind
    return f"{minute} {what}"


@pytest.mark.requirement("F10")
async def test_all_that_concerns_a_charger_is_on_one_timeline(events: PostgresEventStore) -> None:
    found = await lines(events, *WORDS)
    assert found[0] == "8 heartbeat_received"
    assert found.index("7 firmware reported") < found.index("7 charger_booted")
    assert [line for line in found if line.startswith("5 ")] == ["5 reset", "5 command_sent"]
    assert "4 configuration desired" in found
    assert found.index("2 operation reported") < found.index("2 connector_status_changed")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["alarm"], ["3 security_event_reported", "2 connector_status_changed"]),
        (["reset"], ["7 charger_booted", "5 command_sent", "0 charger_booted"]),
        (["error"], ["6 frame_rejected"]),
        (["act"], ["5 reset", "4 configuration desired"]),
        (["frame_rejected", " heartbeat_received"], ["8 heartbeat_received", "6 frame_rejected"]),
    ],
)
@pytest.mark.requirement("F10")
async def test_alarms_resets_errors_and_acts_are_found(
    events: PostgresEventStore, words: list[str], expected: list[str]
) -> None:
    assert await lines(events, *words) == expected


@pytest.mark.requirement("F10")
async def test_who_did_what_and_what_became_of_it_is_said(events: PostgresEventStore) -> None:
    reset, desired = (await events.chronicle("A", question_of(["act"]))).items
    assert (reset.actor, reset.body["state"], reset.body["status"]) == ("olga", "answered", "Accepted")
    assert (desired.actor, desired.cause) == ("ada", "request/1")
    assert desired.body["patch"] == {"values": {"LightIntensity": "50"}}


async def test_a_window_is_by_our_clock_without_its_end(events: PostgresEventStore) -> None:
    found = await lines(events, *WORDS, since=at(4), until=at(6))
    assert found == ["5 reset", "5 command_sent", "4 configuration desired"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_of_any_size_are_the_whole(events: PostgresEventStore, limit: int) -> None:
    whole = (await events.chronicle("A", question_of(WORDS))).items
    paged: list[Entry] = []
    cursor = None
    while True:
        page = await events.chronicle("A", question_of(WORDS), limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        paged += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert tuple(paged) == tuple(whole)
    assert len(whole) > 12


@pytest.mark.parametrize("cursor", ["x", "W10", "WyIxIiwiMiIsIjMiLCI0IiwiNSIsIjYiLCI3Il0"])
async def test_a_cursor_of_others_is_refused(events: PostgresEventStore, cursor: str) -> None:
    with pytest.raises(InvalidInput):
        await events.chronicle("A", question_of([]), cursor=cursor)


async def test_each_charger_has_its_own(events: PostgresEventStore) -> None:
    found = await events.chronicle("B", question_of(WORDS))
    assert {entry.charger_id for entry in found.items} == {"B"}
    assert found.items[-1].kind == "charger_booted"


def test_what_is_no_entry_is_refused_with_what_was_meant() -> None:
    with pytest.raises(InvalidInput, match="no such entries") as refused:
        question_of(["alarms", "event"])
    assert "did you mean alarm?" in refused.value.problems[0]
