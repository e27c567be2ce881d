"""Signals leave in order for each charger, once, however many relays carry them."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime

import pytest

from storage.ports import OutboxSignal
from storage.postgres.events import PostgresEventStore
from storage.postgres.outbox import PostgresOutboxStore

pytestmark = pytest.mark.integration
AT = datetime(2026, 1, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def outbox(engine) -> PostgresOutboxStore:
    return PostgresOutboxStore(engine)


@pytest.fixture
async def fill(sql, engine):
    """Signals as ingest writes them, one for each name given, in this order."""

    async def add(*chargers: str) -> None:
        await sql(
            """
            WITH new AS (
                INSERT INTO event (sequence, session_epoch, observed_at, received_at, charger_id, kind, body)
                SELECT nextval('event_sequence'), 1, $2, $2, charger_id, 'charger_booted', '{"vendor": "V"}'
                FROM unnest($1::text[]) AS charger_id RETURNING sequence, charger_id
            )
            INSERT INTO outbox (charger_id, workflow_id, sequence, node_id, boot_id, session_epoch)
            SELECT charger_id, 'charger/' || charger_id, sequence, 'n', 'b', 1 FROM new ORDER BY sequence
            """,
            list(chargers),
            AT,
        )

    return add


async def test_claimed_signals_are_gone_when_all_went_well(outbox, fill) -> None:
    await fill("A", "B")
    assert await outbox.backlog() == 2
    async with outbox.claim(10) as signals:
        assert [each.charger_id for each in signals] == ["A", "B"]
        assert signals[0].workflow_id == "charger/A"
        assert signals[0].event.body == {"vendor": "V"}
        assert await outbox.backlog() == 2, "not before they are delivered"
    assert await outbox.backlog() == 0


async def test_how_long_the_oldest_has_been_waiting(engine, outbox, fill) -> None:
    events = PostgresEventStore(engine)
    assert await events.signals_late() == 0.0
    await fill("A", "B")
    assert await events.signals_late() == pytest.approx((datetime.now(UTC) - AT).total_seconds(), abs=60)
    async with outbox.claim(10):
        pass
    assert await events.signals_late() == 0.0, "an event that is delivered is not late"


async def test_a_failure_gives_everything_back_and_comes_through_as_it_is(outbox, fill) -> None:
    await fill("A", "B")
    for error in (ZeroDivisionError(), TimeoutError("Temporal"), OSError("Temporal")):
        with pytest.raises(type(error)) as caught:
            async with outbox.claim(10):
                raise error
        assert caught.value is error, "not mistaken for a failure of the database"
    assert await outbox.backlog() == 2


async def test_one_charger_offers_one_signal_at_a_time(outbox, fill) -> None:
    await fill("A", "A", "B", "A")
    async with outbox.claim(10) as first:
        assert [each.charger_id for each in first] == ["A", "B"]
        async with outbox.claim(10) as second:
            assert list(second) == [], "its oldest is in flight elsewhere"
    async with outbox.claim(10) as third:
        assert [each.charger_id for each in third] == ["A"]


async def test_the_limit_is_kept_and_the_oldest_come_first(outbox, fill) -> None:
    await fill("C", "A", "B")
    async with outbox.claim(2) as signals:
        assert [each.charger_id for each in signals] == ["C", "A"]


async def test_four_relays_deliver_everything_once_and_in_order(outbox, engine, fill) -> None:
    names = [f"ch{number % 9}" for number in range(180)]
    await fill(*names[:90])
    delivered: dict[str, list[int]] = defaultdict(list)
    in_flight: set[str] = set()
    overlaps = []

    async def deliver(signal: OutboxSignal) -> None:
        if signal.charger_id in in_flight:
            overlaps.append(signal)
        in_flight.add(signal.charger_id)
        await asyncio.sleep(0)
        delivered[signal.charger_id].append(signal.event.sequence)
        in_flight.discard(signal.charger_id)

    async def relay(number: int) -> None:
        store = PostgresOutboxStore(engine)
        while await store.backlog():
            async with store.claim(1 + number * 2) as signals:
                await asyncio.gather(*map(deliver, signals))

    async with asyncio.timeout(60):
        await asyncio.gather(*map(relay, range(4)), fill(*names[90:]))
        await relay(0)
    assert not overlaps
    assert all(numbers == sorted(set(numbers)) for numbers in delivered.values())
    assert sum(map(len, delivered.values())) == len(names)


async def test_a_relay_that_dies_gives_its_signals_back(outbox, fill, sql) -> None:
    await fill("A")
    claim = outbox.claim(10)
    await claim.__aenter__()
    await sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")
    found: list[str] = []
    async with asyncio.timeout(10):
        while not found:  # until the server has noticed that it is to end
            async with outbox.claim(10) as signals:
                found = [each.charger_id for each in signals]
    assert found == ["A"]
    from storage.errors import EngineUnavailable

    with pytest.raises(EngineUnavailable):
        await claim.__aexit__(None, None, None)


async def test_wake_ups_beat_at_once_and_after_a_signal(outbox, chargers, engine) -> None:
    from datetime import timedelta

    from storage.charger import SiteLease
    from storage.events import ChargerBooted, EventRecord
    from storage.postgres.ingest import PostgresIngestStore
    from storage.postgres.leases import PostgresLeaseStore

    expires = datetime.now(UTC) + timedelta(hours=1)
    await PostgresLeaseStore(engine).take(SiteLease("A", "s1", "charger/A", "update", expires))
    outbox._notifications._fallback_s = 60.0
    async with outbox.wake_ups() as beats, asyncio.timeout(10):
        await anext(beats)
        await anext(beats)  # it listens now
        boot = EventRecord("A", ChargerBooted("V", "M", "1"), AT, AT, 1)
        await PostgresIngestStore(engine).commit([], [boot], lambda twin, _: twin)
        await anext(beats)
        assert await outbox.backlog() == 1
