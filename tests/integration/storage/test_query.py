"""Queries over real twins: what they select, what they count, and that nothing slips in as SQL."""

from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.states import charger_state
from storage.charger import ChargerFilter, GroupQuestion
from storage.errors import InvalidInput
from storage.ports import ChargerView
from storage.postgres.chargers import PostgresChargerStore
from storage.query.checker import condition_of
from storage.query.errors import QueryError
from storage.query.vocabulary import STATES
from tests.house.query_page import EXAMPLES
from tests.support.query_fleet import FLEET, NOW, fill
from tests.support.query_oracle import Seen, holds

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
async def fleet(pool: AsyncEngine, database: str) -> PostgresChargerStore:
    """Filled once: no test here changes it."""
    connection = await asyncpg.connect(database)
    await fill(connection)
    await connection.close()
    return PostgresChargerStore(pool, lambda: NOW)


async def found(store: PostgresChargerStore, query: str) -> list[str]:
    page = await store.find(ChargerFilter(query=query))
    return [view.charger.charger_id for view in page.items]


def numbers(*these: int) -> list[str]:
    return [f"C{number:02}" for number in these]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("vendor = Volta and model = V22", numbers(1, 2, 3)),
        ("vendor = Volta and not (model = V22 or online)", []),
        ("hardware in (A, C)", numbers(1, 2)),
        ("not hardware in (A, C)", numbers(3, 4, 9)),
        ("hardware not in (A, C) or unknown(hardware)", numbers(3, 4, 5, 6, 7, 8, 9, 10, 11, 12)),
        ("serial is known", numbers(5)),
        ("serial like 'S-?'", numbers(5)),
        # the wildcards of SQL are letters here
        ("vendor like 'Acme%' and model like 'AC_22'", numbers(5, 6)),
        ("model like 'AC?22'", numbers(5, 6, 7, 8, 9)),
        ("hardware = 'it\"s'", numbers(9)),
        ("hardware = 'it\\'s; DROP TABLE charger; --'", []),
        ("firmware.version = 2.0.0", numbers(6)),
        ("firmware.version >= 2.0 and firmware.version <= 2.0", numbers(4, 6)),
        ("firmware.version < 2.0", numbers(2, 3, 10)),
        ("firmware.version < 2.0.0-rc2", numbers(2)),
        ("firmware.version <= 2.0.0-rc2", numbers(2, 10)),
        ("firmware.version > 1.2.9", numbers(2, 3, 4, 6, 9, 10)),
        ("not firmware.version < 2.0", numbers(4, 6, 9)),
        ("unknown(firmware.version)", numbers(1, 7, 8, 11, 12)),
        ("firmware.previous_version < 1.2.10", numbers(2)),
        ("desired.firmware.version = 2.0", numbers(2)),
        ("desired.configuration.HeartbeatInterval > 300", numbers(2)),
        ("configuration.HeartbeatInterval > 299.5", numbers(2)),
        ("not configuration.HeartbeatInterval > 300", numbers(2)),
        ("configuration.HeartbeatInterval = often", numbers(4)),
        ('configuration."Weird (1).X" = yes', numbers(2)),
        ("configuration.Lights = true", numbers(4)),
        ("reported.security.profile >= 2", numbers(4)),
        ("security.profile < 2 and quarantined", numbers(6)),
        ("security.tampered", numbers(6)),
        ("security.certificate_until < +5d", numbers(4)),
        ("security.roots has CSMS/aa/1", numbers(4)),
        ("security.roots like 'MF/*'", numbers(4)),
        ("not security.roots has x", numbers(4, 6)),
        ("last_message_at > -24h", numbers(2, 3, 4, 6, 7, 8, 9, 10, 11, 12)),
        ("connectivity.last_message_at < 2026-11-25T11:00:00Z", numbers(5)),
        ("connectivity.dialect = ocpp1.6", numbers(5)),
        ("connectivity.clock_skew_s > 0.4 and connectivity.reconnects = 3 and model = V22", numbers(2, 3)),
        ("stale", numbers(1, 5, 9)),
        ("faulted", numbers(3, 11)),
        ("vendor = Volta and not faulted", numbers(2, 4, 12)),
        ("faulted != true and vendor = Volta", numbers(2, 4, 12)),
        ("unknown(faulted)", numbers(1, 10)),
        ("charging", numbers(4, 11)),
        ("operation.connectors.*.status = Faulted", numbers(3, 11)),
        ("not operation.connectors.*.status in (Unavailable, Faulted) and vendor = Volta", numbers(2, 4)),
        ("operation.connectors.1.1.status = Available", numbers(2, 3, 9)),
        ("known(operation.connectors.*.status) and unknown(identity.vendor) and site = s2", numbers(4, 5)),
        ("operation.transactions.*.stuck like '*yesterday'", numbers(4)),
        ("operation.transactions.*.heard_at is null and charging", numbers(4, 11)),
        ("not operation.transactions.*.stuck = x", numbers(4)),
        ("connectors >= 3 or evses = 1", numbers(4, 6, 7, 9, 11)),
        ("sessions.open = 2", numbers(11)),
        ("firmware.boots has '2026-11-25T12:00:00Z'", numbers(4)),
        ("firmware.status = Installed", numbers(4)),
        ("registered_at = 2026-11-25T13:00:00+01:00 and id = C07", numbers(7)),
        (
            "drift.open = 0 and anomalies = 0 and incidents.open = 0 and updates.attempted = 0 and id = C03",
            numbers(3),
        ),
        ("not site.outage and not maintenance and id = C03", numbers(3)),
        ("maintenance.kind = update", []),
        ("revision > 6", numbers(2, 3)),
    ],
)
@pytest.mark.requirement("F1", "F5")
async def test_a_query_selects_who_certainly_matches(
    fleet: PostgresChargerStore, query: str, expected: list[str]
) -> None:
    assert await found(fleet, query) == expected


@pytest.mark.requirement("F1")
async def test_the_word_for_a_charger_is_the_same_in_a_query_as_on_its_page(
    fleet: PostgresChargerStore,
) -> None:
    words = {
        each.name: charger_state(ChargerView(each.charger, each.twin, each.heard), NOW).value
        for each in FLEET
    }
    selected = {word: await found(fleet, f"state = {word}") for word in STATES}
    assert selected == {word: [name for name, its in words.items() if its == word] for word in STATES}
    assert set(words.values()) == set(STATES) - {"maintenance"}


@pytest.mark.requirement("F1", "F104")
async def test_with_long_heartbeats_only_who_missed_one_is_stale(
    fleet: PostgresChargerStore, pool: AsyncEngine
) -> None:
    assert len(await found(fleet, "stale")) == 3
    patient = PostgresChargerStore(pool, lambda: NOW, timedelta(days=3650))
    assert await found(patient, "stale") == [each.name for each in FLEET if each.heard is None]
    views = (await patient.find(ChargerFilter())).items
    unknown = [each.charger.charger_id for each in views if charger_state(each, NOW).value == "unknown"]
    assert await found(patient, "state = unknown") == unknown


@pytest.mark.parametrize(("query", "meaning"), EXAMPLES)
async def test_every_example_of_the_page_selects_whom_its_words_mean(
    fleet: PostgresChargerStore, query: str, meaning: str
) -> None:
    seen = [Seen(ChargerView(each.charger, each.twin, each.heard), NOW, each.desired) for each in FLEET]
    expected = [each.view.charger.charger_id for each in seen if holds(condition_of(query), each)]
    assert await found(fleet, query) == expected, meaning


@pytest.mark.parametrize(
    "query",
    [
        "vendor = 'x' OR 1=1",
        "vendor = x; DROP TABLE charger",
        "firmware.version = ' UNION SELECT",
        "pg_sleep(10)",
        "charger.vendor = Volta",
        "vendor = Volta --",
        "vendor = 'a\x00b'",
    ],
)
async def test_sql_is_no_query(fleet: PostgresChargerStore, query: str) -> None:
    with pytest.raises(QueryError) as refused:
        await found(fleet, query)
    assert refused.value.position.line == 1
    assert len((await fleet.find(ChargerFilter())).items) == len(FLEET)


async def test_a_query_and_the_plain_filters_must_both_hold(fleet: PostgresChargerStore) -> None:
    where = ChargerFilter(vendor="Volta", online=True, charger_ids=("C02", "C03", "C05"), query="not faulted")
    assert [view.charger.charger_id for view in (await fleet.find(where)).items] == ["C02"]


@pytest.mark.requirement("F27")
async def test_groups_are_counted_largest_first_and_the_rest_in_one_number(
    fleet: PostgresChargerStore,
) -> None:
    by = GroupQuestion(("vendor", "model"), top=2, rates=True)
    groups = await fleet.count_by(ChargerFilter(query="lifecycle != retired"), by)
    shown = {each.values: (each.count, each.online, each.reporting, each.faulted) for each in groups.groups}
    assert shown == {("Volta", "V44"): (4, 4, 3, 1), ("Acme%", "ACX22"): (3, 3, 3, 0)}
    assert groups.other is not None
    assert (groups.other.count, groups.other.online, groups.other.faulted) == (5, 3, 1)
    assert (groups.by, groups.at, groups.total, groups.other_groups) == (("vendor", "model"), NOW, 12, 2)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("firmware.version", {None: 5, "1.2.10": 1, "10.0": 1, "2.0.0": 1, "2.0.0-rc1": 1, "2.0.0-rc2": 1}),
        ("faulted", {False: 8, True: 2, None: 2}),
        ("security.profile", {None: 10, 1.0: 1, 3.0: 1}),
        ("state", {"unavailable": 2, "unknown": 4, "faulted": 2, "available": 1, "occupied": 1}),
        ("evses", {1.0: 4, 2.0: 5, None: 2, 3.0: 1}),
        ('configuration."Weird (1).X"', {None: 11, "yes": 1}),
        ("desired.firmware.version", {None: 11, "2.0": 1}),
    ],
)
async def test_what_is_not_known_is_a_group_of_its_own(
    fleet: PostgresChargerStore, by: str, expected: dict[object, int]
) -> None:
    groups = await fleet.count_by(ChargerFilter(), GroupQuestion((by,)))
    counted = {each.values[0]: each.count for each in groups.groups}
    assert expected.items() <= counted.items()
    assert groups.total == sum(counted.values()) == len(FLEET)
    assert groups.other is None


async def test_nobody_is_no_group(fleet: PostgresChargerStore) -> None:
    groups = await fleet.count_by(ChargerFilter(query="vendor = Nobody"), GroupQuestion(("model",)))
    assert (groups.total, groups.groups, groups.other) == (0, (), None)


@pytest.mark.parametrize("by", [(), ("vendor", "model", "site"), ("vendor", "register.vendor"), ("id",)])
async def test_groupings_that_say_nothing_are_refused(
    fleet: PostgresChargerStore, by: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidInput):
        await fleet.count_by(ChargerFilter(), GroupQuestion(by))
