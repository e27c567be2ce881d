"""How chargers served, on PostgreSQL: projected once, summed by site and version, the open end included."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from csms import service_days
from csms.projection import project
from storage.charger import STALE_AFTER
from storage.events import (
    ChargerBooted,
    ConnectionOpened,
    ConnectorStatus,
    ConnectorStatusChanged,
    EventRecord,
    HeartbeatReceived,
    MeterSample,
    MeterValuesSampled,
)
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.service import REPORTS_AT_ONCE, PostgresServiceStore
from storage.service import GroupBy, ServiceDay

pytestmark = pytest.mark.integration
HOUR = 3600.0
START = (datetime.now(UTC) - timedelta(days=2)).replace(hour=20, minute=0, second=0, microsecond=0)


def told(charger_id: str, event: Any, minute: float) -> EventRecord:
    at = START + timedelta(minutes=minute)
    return EventRecord(charger_id, event, at, at, 1)


def morning(charger_id: str, version: str, word: ConnectorStatus) -> list[EventRecord]:
    return [
        told(charger_id, ConnectionOpened("ocpp2.0.1", 2, "10.0.0.1", "n1"), 0),
        told(charger_id, ChargerBooted("Volt", "V2", version), 0),
        told(charger_id, ConnectorStatusChanged(1, 1, word), 0),
        *(told(charger_id, HeartbeatReceived(), minute) for minute in range(10, 370, 10)),
    ]


async def projected(
    store: PostgresServiceStore, limit: int = 7, stale_after: timedelta = STALE_AFTER
) -> None:
    fold = partial(service_days.fold, stale_after=stale_after)
    while (await store.advance_service(fold, limit=limit)).read:
        pass


@pytest.mark.requirement("F28", "F114", "F7")
async def test_service_by_site_and_version_is_the_same_however_it_was_projected(engine, chargers) -> None:
    ingest, store = PostgresIngestStore(engine), PostgresServiceStore(engine)
    register = MeterSample("Energy.Active.Import.Register", 5.0, "kWh")
    await ingest.commit(
        [],
        [
            *morning("A", "1.0", ConnectorStatus.AVAILABLE),
            *morning("B", "1.1", ConnectorStatus.FAULTED),
            *morning("C", "1.1", ConnectorStatus.AVAILABLE),
            told("A", MeterValuesSampled(1, None, (register,)), 361),
            told("Z", HeartbeatReceived(), 361),
        ],
        project,
    )
    await asyncio.gather(*(projected(store) for _ in range(3)))
    end = START + timedelta(minutes=360)
    # Two chargers, six hours each: one up, one down, and nobody tells of a registered one that never came.
    report = await store.report(GroupBy.SITE, START.date(), end)
    sums = {group.value: group.total for group in report.groups}
    assert (round(sums["s1"].up_s), round(sums["s1"].down_s)) == (6 * HOUR + 60, 6 * HOUR)
    assert (sums["s1"].faults, sums["s2"].down_s) == (1, 0)
    assert {group.value: (group.chargers, group.failing) for group in report.groups} == {
        "s1": (2, 1),
        "s2": (1, 0),
    }
    by_version = await store.report(GroupBy.VERSION, START.date(), end)
    versions = {group.value: group.total for group in by_version.groups}
    assert (versions["1.0"].down_s, round(versions["1.1"].down_s)) == (0, 6 * HOUR)
    for by, value in ((GroupBy.MODEL, "Volt/V2"), (GroupBy.OPERATOR, "")):
        assert [group.value for group in (await store.report(by, START.date(), end)).groups] == [value]
    only = await store.report(GroupBy.CHARGER, START.date(), end, charger_ids=["C"])
    assert [group.value for group in only.groups] == ["C"]
    # More than a statement may have parameters.
    many = ["C", *(f"N{number}" for number in range(40_000))]
    assert await store.report(GroupBy.CHARGER, START.date(), end, charger_ids=many) == only
    # Days are UTC, and the second one begins at midnight.
    days = dict(await store.days("A", START.date(), end))
    assert [round(day.up_s) for day in days.values()] == [4 * HOUR, 2 * HOUR + 60]
    assert (await store.metering("A")).registers["1"].wh == 5000.0
    assert (await store.metering("nobody")).since is None
    late = dict(await store.days("A", START.date() + timedelta(days=1), end))
    assert list(late) == [START.date() + timedelta(days=1)]


@pytest.mark.requirement("F28", "F104")
@pytest.mark.parametrize(("stale_after", "known_min"), [(STALE_AFTER, 0), (timedelta(hours=2), 115)])
async def test_time_after_the_last_word_is_unknown_while_the_socket_lives(
    engine, chargers, stale_after: timedelta, known_min: int
) -> None:
    ingest, store = PostgresIngestStore(engine), PostgresServiceStore(engine)
    await ingest.commit([], morning("A", "1.0", ConnectorStatus.AVAILABLE), project)
    assert (await store.report(GroupBy.SITE, START.date(), START)).groups == ()
    await projected(store, stale_after=stale_after)
    end = START + timedelta(minutes=355 + 120)
    [group] = (await store.report(GroupBy.SITE, START.date(), end)).groups
    assert (round(group.total.up_s), round(group.total.unknown_s)) == (
        (360 + known_min) * 60,
        (115 - known_min) * 60,
    )
    assert isinstance(group.total, ServiceDay)
    assert await store.days("A", date(2100, 1, 1), end) == []


@pytest.mark.requirement("F28")
async def test_reports_leave_connections_for_everybody_else(engine, chargers) -> None:
    store, now, taken = PostgresServiceStore(engine), datetime.now(UTC), set[object]()
    most = 0

    def checked_out(_: object, record: object, __: object) -> None:
        nonlocal most
        taken.add(record)
        most = max(most, len(taken))

    def checked_in(_: object, record: object) -> None:
        taken.discard(record)

    pool = engine.sync_engine.pool
    event.listen(pool, "checkout", checked_out)
    event.listen(pool, "checkin", checked_in)
    await asyncio.gather(*(store.report(GroupBy.SITE, now.date(), now) for _ in range(20)))
    assert 0 < most <= REPORTS_AT_ONCE
