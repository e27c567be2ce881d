"""Projections over a real server: exactly once, restartable, and readable in one query."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from api.schemas.watching import HealthReply
from csms.health_hours import fold as fold_health
from csms.leniency import LONGEST
from csms.projection import project
from csms.session_records import CONCERNS
from csms.session_records import fold as fold_sessions
from storage.charging import SessionState
from storage.errors import Conflict, InvalidInput, NotFound
from storage.events import (
    ChargerBooted,
    ConnectionClosed,
    ConnectionOpened,
    ConnectorStatus,
    ConnectorStatusChanged,
    Event,
    EventRecord,
    FrameRecord,
    HeartbeatReceived,
    TransactionEnded,
    TransactionStarted,
)
from storage.findings import SessionFinding, SessionQuestioned
from storage.health import SpanQuery
from storage.health_time import HealthTime
from storage.incident import IncidentChange, IncidentKind
from storage.postgres.charging import PostgresSessionStore
from storage.postgres.health import PostgresHealthStore
from storage.postgres.incidents import PostgresIncidentStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.projections import PostgresProjectionStore
from storage.postgres.recordings import PostgresRecordingStore
from storage.postgres.routes import PostgresRouteStore
from storage.recording import Forecast, Recorded

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
QUIET = timedelta(minutes=15)


def told(event: Event, second: float = 0, charger_id: str = "A") -> EventRecord:
    at = AT + timedelta(seconds=second)
    return EventRecord(charger_id, event, at, at, 1)


START, END = TransactionStarted("7", 1, 1, None, 100.0), TransactionEnded("7", "Local", 900.0)


@pytest.fixture
def projections(engine) -> PostgresProjectionStore:
    return PostgresProjectionStore(engine)


@pytest.fixture
def sessions(engine) -> PostgresSessionStore:
    return PostgresSessionStore(engine)


@pytest.fixture
def health(engine) -> PostgresHealthStore:
    return PostgresHealthStore(engine)


@pytest.fixture
def incidents(engine) -> PostgresIncidentStore:
    return PostgresIncidentStore(engine)


@pytest.fixture
def keep(engine, chargers):
    ingest = PostgresIngestStore(engine)

    async def commit(events: Sequence[EventRecord], frames: Sequence[FrameRecord] = ()) -> None:
        await ingest.commit(frames, events, project)

    return commit


async def all_of(advance, fold, **options) -> int:
    """Step until nothing is left to read."""
    steps = 0
    while (await advance(fold, **options)).read:
        steps += 1
    return steps


@pytest.mark.requirement("F81")
async def test_a_session_is_projected_and_found_by_its_charger(keep, projections, sessions) -> None:
    await keep([told(START), told(END, 60), told(TransactionStarted("8", 2, 1), 90), told(START, 0, "B")])
    await all_of(projections.advance_sessions, fold_sessions)
    session = await sessions.get("A", "7")
    assert (session.state, session.energy_wh) == (SessionState.ENDED, 800.0)
    page = await sessions.of_charger("A", limit=1)
    assert [each.transaction_id for _, each in page] == ["8"]
    rest = await sessions.of_charger("A", limit=5, before=page[0][0])
    assert [each.transaction_id for _, each in rest] == ["7"]
    with pytest.raises(NotFound):
        await sessions.get("A", "9")
    with pytest.raises(InvalidInput):
        await sessions.of_charger("A", before="yesterday 7")


async def test_the_longest_id_that_is_read_around_holds_up_nobody(keep, projections, sessions) -> None:
    # Four bytes a character, and no two alike, so that nothing is won by compressing them.
    letters = random.Random(1)
    longest = "".join(chr(letters.randrange(0x10000, 0x10FFFF)) for _ in range(LONGEST))
    await keep([told(replace(START, transaction_id=longest)), told(START, 1, "B")])
    await all_of(projections.advance_sessions, fold_sessions)
    assert (await sessions.get("A", longest)).state is SessionState.OPEN
    assert (await sessions.get("B", "7")).state is SessionState.OPEN


async def test_steps_of_any_size_leave_the_same(keep, projections, health, sql) -> None:
    await keep([told(event, second) for second, event in enumerate([START, HeartbeatReceived(), END] * 3)])
    assert await all_of(projections.advance_health, fold_health, limit=2) == 5
    small = await sql("SELECT * FROM health_hour")
    await sql("DELETE FROM health_hour")
    await sql("DELETE FROM health_memory")
    await sql("DELETE FROM projection")
    assert await all_of(projections.advance_health, fold_health) == 1
    assert await sql("SELECT * FROM health_hour") == small
    assert small[0]["attempts"] == 3


async def test_a_step_over_some_kinds_passes_the_others_and_misses_none(keep, projections, sessions) -> None:
    await keep([told(event) for event in [HeartbeatReceived(), START, *[HeartbeatReceived()] * 5, END]])
    steps = await all_of(projections.advance_sessions, fold_sessions, limit=1, kinds=CONCERNS)
    assert steps == 2, "one for each event that concerns a session"
    assert (await sessions.get("A", "7")).state is SessionState.ENDED


async def test_a_step_that_fails_leaves_nothing_and_is_done_again(keep, projections, sessions, sql) -> None:
    await keep([told(START)])

    def fails(known, events):
        raise RuntimeError("killed in the middle")

    with pytest.raises(RuntimeError):
        await projections.advance_sessions(fails)
    assert await sql.value("SELECT count(*) FROM projection WHERE sequence > 0") == 0
    await all_of(projections.advance_sessions, fold_sessions)
    assert (await sessions.get("A", "7")).open


async def test_many_projectors_count_each_event_once(keep, projections, health) -> None:
    for second in range(40):
        await keep([told(HeartbeatReceived(), second, name) for name in ("A", "B")])
    done: list[int | None] = []

    async def project_some() -> None:
        while sum(filter(None, done)) < 80:
            progress = await projections.advance_health(fold_health, limit=7)
            done.append(progress.read)

    async with asyncio.timeout(60):
        await asyncio.gather(*(project_some() for _ in range(4)))
    found = await health.signals(["A", "B"], AT, AT + timedelta(hours=1), timedelta(days=7))
    assert [each.window.messages for each in found.chargers] == [40, 40]


async def test_a_projection_never_passes_an_event_that_commits_later(keep, projections, engine) -> None:
    from storage.postgres import statements
    from storage.postgres.engine import driver_transaction

    await keep([told(START)])
    async with driver_transaction(engine, statements.BEGIN) as slow:
        number = await slow.fetchval("SELECT nextval('event_sequence')")
        await keep([told(END, 60)])
        progress = await projections.advance_sessions(fold_sessions)
        assert progress.watermark.sequence < number
    await all_of(projections.advance_sessions, fold_sessions)
    assert (await projections.advance_sessions(fold_sessions)).watermark.sequence > number


@pytest.mark.requirement("F104")
async def test_signals_come_with_their_baseline_coverage_and_watermark(keep, projections, health) -> None:
    day = 24 * 3600
    await keep(
        [
            told(ConnectionOpened("ocpp1.6", 2, "10.0.0.1", "n1"), -2 * day),
            told(ChargerBooted("Volt", "V2", "1.0"), -day),
            told(START, -day + 60),
            told(HeartbeatReceived(), 60),
            told(HeartbeatReceived(), 90),
            told(ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE), 120),
            told(START, 30, "B"),
            told(START, 30, "C"),
        ]
    )
    await all_of(projections.advance_health, fold_health)
    found = await health.signals(["A", "C", "nobody"], AT, AT + timedelta(hours=1), timedelta(days=7))
    a, c = found.chargers
    assert (a.charger_id, a.window.boots, a.baseline.boots) == ("A", 0, 1)
    assert (a.window.messages, a.heard_minutes, a.baseline_heard_minutes) == (3, 2, 3)
    assert a.baseline_heard_hours == 2
    assert a.last_session_at == AT - timedelta(days=1)
    assert (a.peer_attempts, c.peer_attempts) == (1, 0), "B stands beside A, C stands alone"
    assert a.online
    assert not c.online
    assert found.watermark.through is not None
    reply = HealthReply.of(found)
    assert reply.chargers[0].coverage == pytest.approx(2 / 60, abs=0.001)
    assert {each.name: each.state.value for each in reply.chargers[0].signals}["boots"] == "unknown"
    empty = await health.signals(["nobody"], AT, AT + timedelta(hours=1), timedelta(days=7))
    assert empty.chargers == ()
    assert empty.watermark.sequence == found.watermark.sequence
    assert await health.forget(AT) == 2


@pytest.mark.requirement("R39", "X5")
async def test_each_charger_has_a_span_of_its_own_and_its_days_before(keep, projections, health) -> None:
    hour = 3600
    await keep(
        [
            told(ConnectionOpened("ocpp1.6", 2, "10.0.0.1", "n1"), -20 * hour),
            told(ChargerBooted("Volt", "V2", "1.0"), -3 * hour),
            told(HeartbeatReceived(), 60),
            told(ChargerBooted("Volt", "V2", "1.1"), hour + 60),
            told(HeartbeatReceived(), 2 * hour + 60),
            told(HeartbeatReceived(), 30, "B"),
        ]
    )
    await all_of(projections.advance_health, fold_health)
    later = AT + timedelta(hours=1)
    queries = [SpanQuery("B", AT, AT), SpanQuery("A", later, AT), SpanQuery("nobody", AT, AT)]
    found = await health.spans(queries, AT + timedelta(hours=3, minutes=20), timedelta(days=14))
    b, a = found.chargers
    assert (a.charger_id, a.vendor, a.model, a.site_id) == ("A", "Volt", "V2", "s1")
    assert (a.hours, a.heard_hours, a.window.boots) == (2, 2, 1), "the running hour is left out"
    assert (a.base_hours, a.base_heard_hours, a.baseline.boots, a.lately) == (20, 2, 1, True)
    assert (b.charger_id, b.hours, b.heard_hours, b.base_hours, b.lately) == ("B", 3, 1, 0, False)
    assert found.watermark.through is not None
    assert (await health.spans([], AT, timedelta(days=14))).chargers == ()


@pytest.mark.requirement("X5")
async def test_hours_of_a_rehearsal_are_counted_apart_and_never_read_as_real_ones(engine, keep) -> None:
    time = HealthTime(2)
    projections, health = PostgresProjectionStore(engine, time), PostgresHealthStore(engine, time)
    await keep([told(HeartbeatReceived(), second) for second in (-50, -6, -3, 0.5, 1, 5, 8)])
    await all_of(projections.advance_health, partial(fold_health, time=time))
    until = AT + timedelta(seconds=9)
    (span,) = (await health.spans([SpanQuery("A", AT, AT - time.hour)], until, time.span(300))).chargers
    assert (span.hours, span.heard_hours) == (4, 2), "the running one is left out"
    assert (span.base_hours, span.base_heard_hours, span.lately) == (24, 3, True)

    with pytest.raises(Conflict, match="hours of 3600 s, the database by hours of 2 s"):
        await PostgresHealthStore(engine).spans([SpanQuery("A", AT, AT)], until, time.span(300))
    with pytest.raises(Conflict, match="hours of 3600 s"):
        await PostgresProjectionStore(engine).advance_health(fold_health)


@pytest.mark.requirement("R44")
async def test_hours_that_were_not_read_to_their_end_are_not_counted_as_silent(
    engine, keep, projections, health
) -> None:
    await keep([told(HeartbeatReceived(), -3600), told(HeartbeatReceived(), 60)])
    await all_of(projections.advance_health, fold_health)
    stuck = sa.text("UPDATE projection SET through = :through WHERE name = 'health'")
    async with engine.begin() as connection:
        await connection.execute(stuck, {"through": AT + timedelta(hours=1)})
    (span,) = (
        await health.spans([SpanQuery("A", AT, AT)], AT + timedelta(hours=5), timedelta(days=14))
    ).chargers
    assert (span.hours, span.heard_hours) == (1, 1)


async def test_signals_before_the_projection_ever_ran_say_so(chargers, health) -> None:
    found = await health.signals(["A"], AT, AT + timedelta(hours=1), timedelta(days=7))
    assert found.watermark.through is None
    assert found.chargers[0].heard_minutes == 0


@pytest.mark.requirement("F84")
async def test_sessions_in_doubt_are_found_while_their_charger_is_connected(
    engine, keep, projections, sessions
) -> None:
    routes = PostgresRouteStore(engine)
    await routes.claim("A", "n1", "b1", "ocpp1.6", timedelta(minutes=5))
    free = ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE)
    await keep([told(START), told(free, 1000), told(TransactionStarted("8", 2, 1), 1000)])
    await keep([told(START, 0, "B")])
    await all_of(projections.advance_sessions, fold_sessions)

    async def asked(second: float) -> list[str]:
        now = AT + timedelta(seconds=second)
        found = await sessions.doubtful(now, QUIET, again_after=timedelta(minutes=5))
        return [f"{each.route.node_id}:{each.session.transaction_id}:{each.doubt}" for each in found]

    assert await asked(10) == []
    assert await asked(1000) == ["n1:7:it went quiet"]
    assert await asked(2000) == ["n1:7:its connector says Available", "n1:8:it went quiet"]
    await keep([told(SessionQuestioned("7", "quiet", SessionFinding.UNKNOWN), 2001)])
    await all_of(projections.advance_sessions, fold_sessions)
    assert await asked(2010) == ["n1:8:it went quiet"], "not twice at once; B is not connected"


@pytest.mark.requirement("F88")
async def test_the_timeline_has_every_frame_and_event_in_order(keep, sessions) -> None:
    frame = FrameRecord("A", 1, "in", AT, '[2,"1","StartTransaction",{}]', '[3,"1",{"transactionId":7}]')
    call = FrameRecord("A", 1, "out", AT + timedelta(seconds=1), '[2,"2","ClearCache",{}]')
    await keep([told(START), told(END, 60), told(START, 0, "B")], [frame, call])
    span = (AT - timedelta(minutes=1), AT + timedelta(minutes=5))
    whole = await sessions.timeline("A", *span)
    assert [each.direction or (each.event and each.event.kind.value) for each in whole] == [
        "in",
        "transaction_started",
        "out",
        "transaction_ended",
    ]
    assert [each.answer for each in whole] == ['[3,"1",{"transactionId":7}]', None, None, None]
    paged, after = [], None
    while page := await sessions.timeline("A", *span, limit=1, after=after):
        paged += page
        after = page[-1].position
    assert paged == list(whole)
    assert len(await sessions.timeline("A", AT, AT)) == 2
    with pytest.raises(InvalidInput):
        await sessions.timeline("A", *span, after="2026-11-20T12:00:00+00:00 7 x")


async def test_an_incident_is_open_once_and_closed_once(incidents) -> None:
    opened = IncidentChange(IncidentKind.SITE_OUTAGE, "site/s1", AT, "dark", {"chargers": ["A"]})
    assert await incidents.apply([opened, opened]) == 1
    closed = IncidentChange(IncidentKind.SITE_OUTAGE, "site/s1", AT + timedelta(minutes=5), close=True)
    assert await incidents.apply([closed, closed]) == 1
    assert await incidents.find() == []
    [found] = await incidents.find(open_only=False)
    assert (found.summary, found.detail, found.closed_at) == ("dark", {"chargers": ["A"]}, closed.at)
    assert await incidents.apply([opened]) == 1


async def test_a_site_shows_whose_sockets_closed(keep, incidents) -> None:
    opened = ConnectionOpened("ocpp1.6", 2, "10.0.0.1", "n1")
    await keep([told(opened, 0, name) for name in ("A", "B", "C")])
    assert await incidents.sites() == []
    await keep([told(ConnectionClosed(1006, ""), 60, "A")])
    [site] = await incidents.sites()
    assert (site.site_id, site.total, site.lost) == ("s1", 2, (("A", AT + timedelta(seconds=60)),))


@pytest.mark.requirement("X10")
async def test_recorded_weeks_are_read_back_and_a_forecast_is_kept(
    engine, chargers, keep, projections
) -> None:
    """Sessions with their energy, hours that were heard, counters; the later forecast of a plan stays."""
    await keep([told(HeartbeatReceived()), told(START, 60), told(END, 1860)])
    await all_of(projections.advance_sessions, fold_sessions)
    await all_of(projections.advance_health, fold_health)
    recordings = PostgresRecordingStore(engine)
    since, until = AT - timedelta(hours=2), AT + timedelta(hours=2)

    assert await recordings.begun(since) == AT
    assert await recordings.begun(AT + timedelta(days=1)) is None
    told_of, silent = await recordings.read(["A", "B"], since, until)
    assert (list(told_of.begins), list(told_of.ends), list(told_of.energy_wh)) == ([121], [151], [800])
    assert list(told_of.heard) == [2]
    assert silent == Recorded("B", [], [], [], [])
    hours = await recordings.hours(["A", "B"], since, until)
    assert set(hours) == {"A"}
    assert hours["A"][2].attempts == 1

    for made in (AT, AT + timedelta(hours=1)):
        await recordings.keep(Forecast("d" * 64, made, {"runs": made.hour}))
    kept = await recordings.forecast("d" * 64)
    assert kept == Forecast("d" * 64, AT + timedelta(hours=1), {"runs": 13})
    await recordings.keep(Forecast("e" * 64, AT + timedelta(days=60), {}))
    assert await recordings.forecast("d" * 64) is None, "old, and no campaign came of it"
