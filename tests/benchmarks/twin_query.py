"""Row ``twin-query``: a large fleet asked by filter and by group, beside the same asked in SQL by hand."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from statistics import quantiles

import asyncpg

from storage.charger import ChargerFilter, GroupQuestion
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World

CHARGERS = 100_000
ROUNDS = 5
PAGE = 100
FILTER_TARGET_MS = 1000.0
GROUP_TARGET_MS = 1500.0
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)

# 20 vendors of 5 models, 3 hardware revisions, 24 versions, sites of 25; one in 200 is faulted, one in 40
# away, one in 30 never told its configuration. Numbers that share no factor mix them.
_LOAD = (
    """INSERT INTO site (site_id, name, time_zone, max_down)
       SELECT 'site-' || n, 'Site ' || n, 'UTC', 2 FROM generate_series(0, $1 / 25) AS n""",
    """INSERT INTO charger (charger_id, site_id, vendor, model, lifecycle, serial_number,
                            hardware_revision, registered_at)
       SELECT 'Q' || lpad(n::text, 6, '0'), 'site-' || n / 25, 'Vendor' || n % 20, 'Model' || n / 20 % 5,
              CASE WHEN n % 500 = 7 THEN 'quarantined' ELSE 'active' END, 'SN' || n, chr(65 + n % 3), $2
       FROM generate_series(0, $1 - 1) AS n""",
    """INSERT INTO twin (charger_id, revision, last_message_at, online, charging, faulted, firmware_version)
       SELECT 'Q' || lpad(n::text, 6, '0'), 100 + n % 900, $2 - make_interval(secs => n % 600), n % 40 <> 3,
              n % 7 = 1, n % 200 = 11, '1.' || n / 7 % 6 || '.' || n / 11 % 4
       FROM generate_series(0, $1 - 1) AS n""",
    """INSERT INTO twin_section (charger_id, name, reported, reported_version)
       SELECT 'Q' || lpad(n::text, 6, '0'), name, reported, 1
       FROM generate_series(0, $1 - 1) AS n, LATERAL (VALUES
         ('connectivity', jsonb_build_object('online', n % 40 <> 3, 'dialect', 'ocpp2.0.1', 'since', $2,
           'node_id', 'node-1', 'remote_address', '10.0.0.1', 'reconnects', n % 9, 'silent', false)),
         ('firmware', jsonb_build_object('version', '1.' || n / 7 % 6 || '.' || n / 11 % 4,
           'booted_at', $2,
           'boots', jsonb_build_array($2), 'status', 'Installed', 'status_at', $2)),
         ('security', jsonb_build_object('profile', n % 4, 'tampered', n % 5000 = 1,
           'roots', jsonb_build_array(), 'certificate_until', $2 + make_interval(days => n % 700))),
         ('operation', jsonb_build_object('connectors', jsonb_build_object(
             '1.1', jsonb_build_object('evse_id', 1, 'connector_id', 1, 'since', $2, 'reported_at', $2,
               'status', CASE WHEN n % 200 = 11 THEN 'Faulted' WHEN n % 7 = 1 THEN 'Occupied'
                         ELSE 'Available' END),
             '2.1', jsonb_build_object('evse_id', 2, 'connector_id', 1, 'since', $2, 'reported_at', $2,
               'status', 'Available')),
           'transactions', CASE WHEN n % 7 = 1 THEN jsonb_build_object('t', jsonb_build_object(
             'transaction_id', 't', 'evse_id', 1, 'connector_id', 1, 'started_at', $2, 'updated_at', $2))
             ELSE '{}' END)),
         ('configuration', (SELECT jsonb_build_object('read_at', $2, 'values', jsonb_object_agg(
             'SampledDataCtrlr.Variable' || k, n % 100 || ' value ' || k) ||
             jsonb_build_object('OCPPCommCtrlr.HeartbeatInterval', (60 + n % 900)::text))
           FROM generate_series(1, 30) AS k))
       ) AS section (name, reported)
       WHERE NOT (name = 'configuration' AND n % 30 = 4)""",
    """INSERT INTO drift (desired_version, differing_s, first_seen, judged_at, charger_id, path, severity,
                          state, suspicion, reason)
       SELECT 1, 1, $2, $2, 'Q' || lpad(n::text, 6, '0'), 'configuration.values.A', 'warning', 'open', '', ''
       FROM generate_series(0, $1 - 1, 300) AS n""",
    "VACUUM (ANALYZE)",
)

_FROM = "FROM charger c JOIN twin t USING (charger_id)"
_SECTION = "LEFT JOIN twin_section s ON s.charger_id = c.charger_id AND s.name = "
FILTERS: dict[str, str] = {
    "vendor = Vendor3 and model = Model2": f"{_FROM} WHERE vendor = 'Vendor3' AND model = 'Model2'",
    "firmware.version = 1.4.2 and not online": f"{_FROM} WHERE firmware_version = '1.4.2' AND NOT online",
    "firmware.version < 1.0.2 and hardware = B": f"{_FROM} WHERE "
    "string_to_array(firmware_version, '.')::int[] < ARRAY[1, 0, 2] AND hardware_revision = 'B'",
    "site = site-77 and charging": f"{_FROM} WHERE site_id = 'site-77' AND charging",
    "quarantined and faulted": f"{_FROM} WHERE lifecycle = 'quarantined' AND faulted",
    "security.tampered": f"{_FROM} {_SECTION} 'security' WHERE (reported ->> 'tampered')::bool",
    "security.certificate_until < +2d": f"{_FROM} {_SECTION} 'security' "
    "WHERE (reported ->> 'certificate_until')::timestamptz < '2026-11-27T12:00:00Z'",
    "configuration.OCPPCommCtrlr.HeartbeatInterval > 955": f"{_FROM} {_SECTION} 'configuration' "
    "WHERE (reported -> 'values' ->> 'OCPPCommCtrlr.HeartbeatInterval')::float8 > 955",
    "operation.connectors.*.status = Faulted and vendor = Vendor11": f"{_FROM} {_SECTION} 'operation' WHERE "
    "reported @? '$.connectors.*.status ? (@ == \"Faulted\")' AND vendor = 'Vendor11'",
    "unknown(configuration.read_at) and online": f"{_FROM} {_SECTION} 'configuration' "
    "WHERE reported ->> 'read_at' IS NULL AND online",
    "drift.open > 0 and faulted": f"{_FROM} WHERE faulted AND c.charger_id IN "
    "(SELECT charger_id FROM drift WHERE state = 'open')",
}
GROUPS: dict[tuple[tuple[str, ...], str | None], str] = {
    (("vendor", "model"), None): f"SELECT vendor, model, count(*) {_FROM} GROUP BY 1, 2",
    (("firmware.version",), "online"): f"SELECT firmware_version, count(*) {_FROM} WHERE online GROUP BY 1",
    (("model", "firmware.version"), "not charging and vendor = Vendor3"): "SELECT model, firmware_version, "
    f"count(*) {_FROM} WHERE NOT charging AND vendor = 'Vendor3' GROUP BY 1, 2",
    (("site",), "faulted"): f"SELECT site_id, count(*) {_FROM} WHERE faulted GROUP BY 1",
    (("hardware", "security.profile"), None): "SELECT hardware_revision, (reported ->> 'profile')::float8, "
    f"count(*) {_FROM} {_SECTION} 'security' GROUP BY 1, 2",
}
Ask = Callable[[], Awaitable[list[object]]]


async def measure_twin_query(world: World) -> list[Row]:
    """Every question some times over, ours and by hand in turns; both must say the same."""
    count = world.sized(CHARGERS, 600)
    rounds = world.sized(ROUNDS, 1)
    async with world.database(0) as database:
        connection = await asyncpg.connect(database, command_timeout=300)
        engine = create_engine(database, pool_size=2)
        try:
            await _load(connection, count)
            store = PostgresChargerStore(engine, lambda: NOW)
            await store.find(
                ChargerFilter(query="online"), limit=1
            )  # so that opening a connection is not timed
            filters = [_filter(store, connection, query, sql) for query, sql in FILTERS.items()]
            groups = [_group(store, connection, *question, sql) for question, sql in GROUPS.items()]
            filter_ms = await _both(filters, rounds)
            group_ms = await _both(groups, rounds)
        finally:
            await engine.dispose()
            await connection.close()
    unit = f"ms over {count:,} twins"
    return [
        _row("twin-query filter p95", unit, filter_ms, FILTER_TARGET_MS),
        _row("twin-query group p95", unit, group_ms, GROUP_TARGET_MS),
    ]


def _row(name: str, unit: str, timings: tuple[list[float], list[float]], target: float) -> Row:
    ours, theirs = (_p95(each) for each in timings)
    return Row(
        *(name, ours, unit, "the same in SQL by hand", theirs, ours / theirs),
        target=f"<= {target:g} ms",
        met=ours <= target,
    )


def _p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1]


async def _load(connection: asyncpg.Connection, count: int) -> None:
    began = time.monotonic()
    for statement in _LOAD:
        given = (count, NOW)[: sum(f"${number}" in statement for number in (1, 2))]
        typed = statement.replace("$1", "$1::int").replace("$2", "$2::timestamptz")
        await connection.execute(typed, *given)
    say(f"twin-query: {count:,} twins loaded in {time.monotonic() - began:.0f} s")


def _filter(
    store: PostgresChargerStore, connection: asyncpg.Connection, query: str, sql: str
) -> tuple[str, Ask, Ask]:
    by_hand = f"SELECT c.charger_id {sql} ORDER BY c.charger_id LIMIT {PAGE}"

    async def ours() -> list[object]:
        page = await store.find(ChargerFilter(query=query), limit=PAGE)
        return [view.charger.charger_id for view in page.items]

    async def theirs() -> list[object]:
        return [row[0] for row in await connection.fetch(by_hand)]

    return query, ours, theirs


def _group(
    store: PostgresChargerStore,
    connection: asyncpg.Connection,
    by: tuple[str, ...],
    query: str | None,
    sql: str,
) -> tuple[str, Ask, Ask]:
    async def ours() -> list[object]:
        counted = await store.count_by(ChargerFilter(query=query), GroupQuestion(by, top=500))
        found = sorted(((*each.values, each.count) for each in counted.groups), key=repr)
        return [*found[:PAGE], counted.total]

    async def theirs() -> list[object]:
        rows = await connection.fetch(sql)
        total = sum(row[-1] for row in rows)
        largest = sorted(rows, key=lambda row: (-row[-1], *(str(value) for value in row[:-1])))[:500]
        return [*sorted((tuple(row) for row in largest), key=repr)[:PAGE], total]

    return f"{query} by {', '.join(by)}", ours, theirs


async def _both(asked: Sequence[tuple[str, Ask, Ask]], rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each ask; raises where the two answers differ."""
    timings: tuple[list[float], list[float]] = ([], [])
    for name, *ways in asked:
        for _ in range(rounds):
            answers = []
            for way, into in zip(ways, timings, strict=True):
                began = time.perf_counter()
                answers.append(await way())
                into.append((time.perf_counter() - began) * 1000)
            if answers[0] != answers[1]:
                raise AssertionError(f"{name}: {answers[0][:3]}..., by hand {answers[1][:3]}...")
        ours, theirs = (sorted(each[-rounds:])[rounds // 2] for each in timings)
        say(f"twin-query: {ours:7.1f} ms, by hand {theirs:7.1f} ms: {name}")
    return timings
