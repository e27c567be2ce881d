"""What is projected is what one fold over all events gives, whoever steps, dies or takes what others read."""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from csms import health_hours, service_days, session_records
from csms.projection import project
from storage.codec import decode_json
from storage.errors import InvalidInput
from storage.events import (
    ChargerBooted,
    CommandSent,
    ConnectionClosed,
    ConnectionOpened,
    ConnectorStatus,
    ConnectorStatusChanged,
    Event,
    EventKind,
    EventRecord,
    HeartbeatReceived,
    MeterSample,
    MeterValuesSampled,
    StoredEvent,
    TransactionEnded,
    TransactionStarted,
)
from storage.health import HealthHour, HealthMemory, Watermark
from storage.incident import IncidentChange, IncidentKind
from storage.postgres.events import PostgresEventStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.projections import Tail
from storage.postgres.watching import watch_stores
from storage.service import SUMMED, ServiceMemory
from storage.watching import SessionChange, Sessions, WatchStores

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)


class Killed(Exception):
    """In the middle of a step."""


def killed(*_: Any, **__: Any) -> Any:
    raise Killed


def _anything(chance: random.Random) -> Event:
    session = chance.choice(["7", "8"])
    word = chance.choice(list(ConnectorStatus))
    return chance.choice(
        [
            *[HeartbeatReceived()] * 12,
            ConnectionOpened("ocpp1.6", 2, "10.0.0.1", "n1"),
            ChargerBooted("Volt", "V2", "1.0"),
            ConnectorStatusChanged(1, 1, word),
            TransactionStarted(session, 1, 1, None, 100.0),
            MeterValuesSampled(1, session, (MeterSample("Temperature", 0.0, "Celsius"),)),
            TransactionEnded(session, "Local", 900.0),
            CommandSent("TriggerMessage", "m1"),
            ConnectionClosed(1006, ""),
        ]
    )


def _stream(chance: random.Random, count: int) -> list[EventRecord]:
    found, minute = [], 0.0
    for _ in range(count):
        minute += chance.choice([0.0, 0.0, 0.1, 3.0])  # at one instant, too: facts of one message
        at = AT + timedelta(minutes=minute)
        found.append(EventRecord(chance.choice("ABC"), _anything(chance), at, at, 1))
    return found


async def _step(watch: WatchStores, chance: random.Random) -> None:
    """One step of one projection, as the observer does it, or one that dies."""
    limit, dies = chance.choice([3, 20, 1000]), chance.random() < 0.2
    kinds = session_records.CONCERNS
    steps = [
        partial(watch.projections.advance_health, killed if dies else health_hours.fold),
        partial(watch.service.advance_service, killed if dies else service_days.fold),
        partial(watch.projections.advance_sessions, killed if dies else session_records.fold, kinds=kinds),
    ]
    with suppress(Killed):
        await chance.choice(steps)(limit=limit)


@pytest.mark.parametrize("seed", range(3))
async def test_projections_are_one_fold_over_all_events(engine, chargers, sql, seed: int) -> None:
    chance = random.Random(seed)
    ingest = PostgresIngestStore(engine)
    processes = [watch_stores(engine), watch_stores(engine)]
    stream = _stream(chance, 200)
    while stream:
        some = chance.randrange(1, 15)
        await ingest.commit([], stream[:some], project)
        del stream[:some]
        for _ in range(3):
            await _step(chance.choice(processes), chance)
    watch = processes[0]
    while (await watch.projections.advance_health(health_hours.fold)).read:
        pass
    while (await watch.service.advance_service(service_days.fold)).read:
        pass
    while (
        await watch.projections.advance_sessions(session_records.fold, kinds=session_records.CONCERNS)
    ).read:
        pass
    events = await PostgresEventStore(engine).after(0, limit=1000)
    await _compare_health(sql, events)
    await _compare_service(sql, events)
    folded = session_records.fold({}, [each for each in events if each.kind in session_records.CONCERNS])
    for charger_id, name in folded.sessions:
        assert await watch.sessions.get(charger_id, name) == folded.sessions[charger_id, name]


async def _compare_health(sql: Any, events: Sequence[StoredEvent]) -> None:
    folded = health_hours.fold({}, events)
    hours = {
        (row["charger_id"], row["hour"]): HealthHour(
            **{each.name: row[each.name] for each in fields(HealthHour)}
        )
        for row in await sql("SELECT * FROM health_hour")
    }
    memories = {
        row["charger_id"]: (decode_json(HealthMemory, row["memory"]), row["left_at"])
        for row in await sql("SELECT * FROM health_memory")
    }
    assert hours == folded.hours
    assert memories == {name: (memory, memory.left_at) for name, memory in folded.memories.items()}


async def _compare_service(sql: Any, events: Sequence[StoredEvent]) -> None:
    folded = service_days.fold({}, events)
    days = {
        (row["charger_id"], row["day"], row["version"]): row for row in await sql("SELECT * FROM service_day")
    }
    assert days.keys() == folded.days.keys()
    for key, day in folded.days.items():
        # Sums of floats by another grouping: equal but for their last digits.
        sums = [getattr(day, each) for each in SUMMED]
        assert [days[key][each] for each in SUMMED] == pytest.approx(sums, rel=1e-12)
        assert days[key]["temperature_max"] == day.temperature_max
    for row in await sql("SELECT * FROM service_memory"):
        memory = folded.memories[row["charger_id"]]
        assert decode_json(ServiceMemory, row["memory"]) == memory
        assert memory.standing is not None
        assert (row["at"], row["up"], row["online"]) == (
            memory.standing.at,
            memory.standing.up,
            memory.standing.online,
        )


async def test_what_one_projection_read_to_its_end_serves_the_others(engine, chargers, sql) -> None:
    ingest, watch = PostgresIngestStore(engine), watch_stores(engine)
    told = [EventRecord("A", HeartbeatReceived(), AT, AT, 1)] * 3
    await ingest.commit([], told, project)
    first = await watch.projections.advance_health(health_hours.fold)
    await sql("DELETE FROM event")
    assert await watch.service.advance_service(service_days.fold) == first, "not read again"
    assert (await watch.service.advance_service(service_days.fold)).read == 0
    await ingest.commit([], told, project)
    assert (await watch.service.advance_service(service_days.fold)).read == 3, "newer ones are looked for"


async def test_a_step_that_fails_while_it_writes_leaves_nothing_of_it(engine, chargers, sql) -> None:
    watch = watch_stores(engine)
    at = EventRecord("A", TransactionStarted("7", 1, 1, None, 100.0), AT, AT, 1)
    await PostgresIngestStore(engine).commit([], [at], project)
    good = IncidentChange(IncidentKind.SESSION_STUCK, "session/A/7", AT, "stuck")
    bad = replace(good, subject="session/A/8", summary="no text has a \x00")

    def fold(known: Sessions, events: Sequence[StoredEvent]) -> SessionChange:
        return replace(session_records.fold(known, events), incidents=(good, bad))

    with pytest.raises(InvalidInput):
        await watch.projections.advance_sessions(fold)
    assert not await sql("SELECT FROM charging_session UNION ALL SELECT FROM incident")
    assert (await watch.projections.advance_sessions(session_records.fold)).read == 1


def test_a_tail_serves_who_has_read_up_to_it_and_not_who_read_it() -> None:
    tail, events = Tail(), [StoredEvent(7, "A", EventKind.HEARTBEAT_RECEIVED, {}, AT, AT)]
    mark = Watermark(9, AT)
    assert tail.after("b", 0, 10, ()) is None
    tail.keep("a", 4, (events, mark))
    assert tail.after("b", 4, 10, ()) == (events, mark)
    assert tail.after("b", 7, 10, ()) == ([], mark)
    assert tail.after("b", 4, 10, [EventKind.CHARGER_BOOTED]) == ([], mark)
    assert tail.after("b", 3, 10, ()) is None, "what came before was not read"
    assert tail.after("b", 9, 10, ()) is None, "there may be newer ones"
    assert tail.after("b", 4, 0, ()) is None, "these are too many"
    assert tail.after("a", 4, 10, ()) is None, "a store that was put back may have others by now"
