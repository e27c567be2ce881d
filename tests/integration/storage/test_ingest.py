# long-file: one transaction, all its promises in one place, on one fixture
"""The transaction behind every answer to a charger."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage.charger import SiteLease
from storage.codec import apply_patch, decode_twin
from storage.errors import EngineUnavailable
from storage.events import (
    NO_SESSION_EPOCH,
    ChargerBooted,
    ConnectionRefused,
    ConnectorStatus,
    ConnectorStatusChanged,
    EventKind,
    EventRecord,
    FirmwareStatus,
    FirmwareStatusReported,
    FrameRecord,
    HeartbeatReceived,
    TransactionEnded,
    TransactionStarted,
)
from storage.postgres import ingest as ingest_module
from storage.postgres import statements
from storage.postgres.events import PostgresEventStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.outbox import PostgresOutboxStore
from storage.postgres.routes import PostgresRouteStore
from storage.twin import (
    ConnectorState,
    FirmwareSection,
    IdentitySection,
    OperationSection,
    SecuritySection,
    TwinState,
)

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)


def project(twin: TwinState, record: EventRecord) -> TwinState:
    """A small projector: the store must not care which one it gets."""
    event = record.event
    if isinstance(event, ChargerBooted):
        firmware = replace(twin.firmware or FirmwareSection(), version=event.firmware_version)
        return replace(twin, firmware=firmware, identity=IdentitySection(event.vendor, event.model))
    if isinstance(event, FirmwareStatusReported):
        return replace(twin, firmware=replace(twin.firmware or FirmwareSection(), status=event.status))
    if isinstance(event, ConnectorStatusChanged):
        operation = twin.operation or OperationSection()
        state = ConnectorState(event.evse_id, event.connector_id, event.status, record.observed_at)
        connectors = {**operation.connectors, f"{event.evse_id}.{event.connector_id}": state}
        return replace(twin, operation=replace(operation, connectors=connectors))
    if isinstance(event, ConnectionRefused):
        known = twin.security or SecuritySection()
        return replace(twin, security=replace(known, auth_failures=known.auth_failures + 1))
    return twin


def record(charger_id: str, event, *, epoch: int = 1, second: int = 0, key: str | None = None) -> EventRecord:
    at = AT + timedelta(seconds=second)
    return EventRecord(charger_id, event, at, at, epoch, key)


def status(word: ConnectorStatus, connector_id: int = 1) -> ConnectorStatusChanged:
    return ConnectorStatusChanged(1, connector_id, word)


BOOT = ChargerBooted("Volt", "V2", "1.0")


@pytest.fixture
def ingest(engine) -> PostgresIngestStore:
    return PostgresIngestStore(engine)


@pytest.fixture
def events(engine) -> PostgresEventStore:
    return PostgresEventStore(engine)


async def test_everything_of_a_batch_is_there_afterwards(chargers, ingest, events, sql) -> None:
    frame = FrameRecord("A", 1, "in", AT, '[2,"1","BootNotification",{}]')
    new = await ingest.commit([frame], [record("A", BOOT)], project)

    assert [(each.charger_id, each.kind) for each in new] == [("A", EventKind.CHARGER_BOOTED)]
    assert new[0].body["firmware_version"] == "1.0"
    assert await events.timeline("A") == list(new)
    view = await chargers.get("A")
    assert view.twin.firmware == FirmwareSection(version="1.0")
    assert view.twin.identity == IdentitySection("Volt", "V2")
    assert view.last_message_at == AT
    rows = await sql("SELECT charger_id, session_epoch, direction, at, text FROM frame")
    assert [tuple(row) for row in rows] == [("A", 1, "in", AT, frame.text)]


async def test_nothing_at_all_is_no_transaction(ingest, sql) -> None:
    assert list(await ingest.commit([], [], project)) == []


async def test_a_frame_without_events_is_journaled_and_heard(chargers, ingest, sql) -> None:
    await ingest.commit([FrameRecord("A", 1, "in", AT, "")], [], project)
    await ingest.commit([FrameRecord("B", 1, "out", AT, "{}")], [], project)
    assert await sql.value("SELECT count(*) FROM frame") == 2
    assert (await chargers.get("A")).last_message_at == AT
    assert (await chargers.get("B")).last_message_at is None, "we spoke, not the charger"


@pytest.mark.requirement("F82")
async def test_a_second_record_with_the_same_key_is_dropped(chargers, ingest, events) -> None:
    first = record("A", TransactionStarted("t1", 1, 1), key="start-t1")
    again = replace(first, received_at=AT + timedelta(seconds=9))
    other = record("B", TransactionStarted("t1", 1, 1), key="start-t1")

    assert len(await ingest.commit([], [first, again, other], project)) == 2
    assert len(await ingest.commit([], [again], project)) == 0
    assert [each.received_at for each in await events.timeline("A")] == [AT]


async def test_a_duplicate_is_not_projected(chargers, ingest) -> None:
    await ingest.commit([], [record("A", BOOT, key="b")], project)
    await ingest.commit([], [record("A", status(ConnectorStatus.FAULTED))], project)
    revision = (await chargers.get("A")).twin.revision
    await ingest.commit([], [record("A", replace(BOOT, firmware_version="2.0"), key="b")], project)
    twin = (await chargers.get("A")).twin
    assert twin.firmware.version == "1.0"
    assert twin.revision == revision


async def test_a_key_too_long_for_an_index_still_counts(chargers, ingest) -> None:
    key = "k" * 10_000
    assert len(await ingest.commit([], [record("A", BOOT, key=key)], project)) == 1
    assert len(await ingest.commit([], [record("A", BOOT, key=key)], project)) == 0
    assert len(await ingest.commit([], [record("A", BOOT, key=key + "x")], project)) == 1


async def test_events_of_one_charger_apply_in_their_order(chargers, ingest) -> None:
    words = [ConnectorStatus.OCCUPIED, ConnectorStatus.FAULTED, ConnectorStatus.AVAILABLE]
    batch = [record("A", status(word), second=place) for place, word in enumerate(words)]
    new = await ingest.commit([], batch, project)
    assert [each.body["status"] for each in new] == [word.value for word in words]
    assert sorted(each.sequence for each in new) == [each.sequence for each in new]
    assert (await chargers.get("A")).twin.operation.connectors["1.1"].status is words[-1]


@pytest.mark.requirement("F16", "F17")
async def test_history_has_one_row_for_each_changed_section_and_event(chargers, ingest, events) -> None:
    new = await ingest.commit(
        [],
        [
            record("A", BOOT),
            record("A", HeartbeatReceived(), second=1),
            record("A", status(ConnectorStatus.FAULTED), second=2),
            record("A", status(ConnectorStatus.AVAILABLE), second=3),
        ],
        project,
    )
    history = await events.history("A")
    assert [(row["revision"], row["section"]) for row in history] == [
        (3, "operation"),
        (2, "operation"),
        (1, "firmware"),
        (1, "identity"),
    ]
    assert history[0]["cause"] == f"event/{new[3].sequence}"
    assert history[0]["actor"] == "charger"
    assert history[0]["observed_at"] == AT + timedelta(seconds=3)
    assert history[0]["received_at"] == AT + timedelta(seconds=3)


async def test_a_heartbeat_moves_the_clock_and_nothing_else(chargers, ingest, events) -> None:
    await ingest.commit([], [record("A", BOOT)], project)
    before = (await chargers.get("A")).twin
    await ingest.commit([], [record("A", HeartbeatReceived(), second=60)], project)
    view = await chargers.get("A")
    assert view.last_message_at == AT + timedelta(seconds=60)
    assert view.twin == before
    assert len(await events.history("A")) == 2


async def test_a_late_event_does_not_turn_back_the_clock(chargers, ingest) -> None:
    await ingest.commit([], [record("A", HeartbeatReceived(), second=60)], project)
    await ingest.commit([], [record("A", HeartbeatReceived(), second=5)], project)
    assert (await chargers.get("A")).last_message_at == AT + timedelta(seconds=60)


@pytest.mark.requirement("F16", "F21")
async def test_history_rebuilds_the_twin_from_nothing(chargers, ingest, events) -> None:
    words = [*ConnectorStatus, *reversed(ConnectorStatus)]
    for place, word in enumerate(words):
        connector_id = place % 2 + 1
        batch = [record("A", status(word, connector_id), second=place)]
        batch += [record("A", BOOT, second=place), record("A", FirmwareStatusReported(FirmwareStatus.IDLE))]
        await ingest.commit([], batch, project)

    sections: dict[str, dict] = {}
    revisions = []
    for row in reversed(await events.history("A", limit=1000)):
        sections[row["section"]] = apply_patch(sections.get(row["section"], {}), row["patch"])
        revisions.append(row["revision"])
    twin = (await chargers.get("A")).twin
    assert decode_twin("A", revisions[-1], sections) == twin
    assert revisions == sorted(revisions)
    assert set(revisions) == set(range(1, twin.revision + 1))


async def test_what_the_store_gives_back_is_what_was_projected(chargers, ingest, engine) -> None:
    """Through JSON and back, from a process that has it in memory and from one that has not."""
    seen: list[TwinState] = []

    def watching(twin: TwinState, given: EventRecord) -> TwinState:
        seen.append(twin)
        return project(twin, given)

    await ingest.commit([], [record("A", BOOT), record("A", status(ConnectorStatus.FAULTED))], watching)
    stored = (await chargers.get("A")).twin
    for store in (ingest, PostgresIngestStore(engine)):
        await store.commit([], [record("A", HeartbeatReceived())], watching)
        assert seen[-1] == stored


async def test_a_twin_changed_by_another_node_is_read_anew(chargers, ingest, engine) -> None:
    other = PostgresIngestStore(engine)
    await ingest.commit([], [record("A", BOOT)], project)
    await other.commit([], [record("A", status(ConnectorStatus.FAULTED))], project)
    await ingest.commit([], [record("A", FirmwareStatusReported(FirmwareStatus.INSTALLED))], project)
    twin = (await chargers.get("A")).twin
    assert twin.operation.connectors["1.1"].status is ConnectorStatus.FAULTED
    assert twin.firmware == FirmwareSection(version="1.0", status=FirmwareStatus.INSTALLED)
    assert twin.revision == 3


@pytest.mark.requirement("F19")
async def test_an_event_of_a_replaced_socket_is_stored_and_not_projected(
    chargers, ingest, events, engine
) -> None:
    routes = PostgresRouteStore(engine)
    for _ in range(2):
        await routes.claim("A", "n1", "b1", "ocpp1.6", LEASE)
    await ingest.commit([], [record("A", BOOT, epoch=2)], project)
    late = replace(BOOT, firmware_version="0.9")
    assert len(await ingest.commit([], [record("A", late, epoch=1)], project)) == 1
    assert (await chargers.get("A")).twin.firmware.version == "1.0"
    assert len(await events.timeline("A")) == 2


@pytest.mark.requirement("F39")
async def test_a_refused_peer_is_projected_and_does_not_count_as_heard(chargers, ingest, engine) -> None:
    await PostgresRouteStore(engine).claim("A", "n1", "b1", "ocpp1.6", LEASE)
    refused = ConnectionRefused("wrong password", "192.0.2.1")
    await ingest.commit([], [record("A", refused, epoch=NO_SESSION_EPOCH)], project)
    view = await chargers.get("A")
    assert view.twin.security.auth_failures == 1
    assert view.last_message_at is None


async def test_a_stranger_leaves_an_event_and_no_twin(chargers, ingest, events, sql) -> None:
    refused = ConnectionRefused("unknown", "192.0.2.1")
    await ingest.commit([], [record("Z", refused, epoch=NO_SESSION_EPOCH)], project)
    assert [each.kind for each in await events.timeline("Z")] == [EventKind.CONNECTION_REFUSED]
    assert await sql.value("SELECT count(*) FROM twin WHERE charger_id = 'Z'") == 0


async def test_a_failing_projector_leaves_nothing_behind(chargers, ingest, sql) -> None:
    def breaks(twin: TwinState, given: EventRecord) -> TwinState:
        if given.charger_id == "B":
            raise ZeroDivisionError
        return project(twin, given)

    frames = [FrameRecord("A", 1, "in", AT, "[]")]
    with pytest.raises(ZeroDivisionError):
        await ingest.commit(frames, [record("A", BOOT), record("B", BOOT)], breaks)
    for table in ("frame", "event", "twin_history", "twin_section"):
        assert await sql.value(f"SELECT count(*) FROM {table}") == 0
    # And what was computed in vain is not believed afterwards.
    await ingest.commit([], [record("A", status(ConnectorStatus.FAULTED))], project)
    twin = (await chargers.get("A")).twin
    assert (twin.revision, twin.firmware) == (1, None)


async def test_a_commit_that_is_cancelled_leaves_nothing_behind(chargers, ingest, sql) -> None:
    locker = await _lock_twin(sql.url)
    task = asyncio.create_task(ingest.commit([], [record("A", BOOT)], project))
    await sql.until("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    task.cancel()
    await asyncio.wait({task})
    await locker.close()
    assert task.cancelled()
    assert await sql.value("SELECT count(*) FROM event") == 0
    await ingest.commit([], [record("A", BOOT)], project)
    assert (await chargers.get("A")).twin.revision == 1


async def test_a_connection_that_is_cut_leaves_nothing_behind_and_the_next_commit_works(
    chargers, ingest, sql
) -> None:
    locker = await _lock_twin(sql.url)
    task = asyncio.create_task(ingest.commit([], [record("A", BOOT)], project))
    blocked = "FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    await sql.until(f"SELECT count(*) > 0 {blocked}")
    await sql(f"SELECT pg_terminate_backend(pid) {blocked}")
    with pytest.raises(EngineUnavailable):
        await task
    await locker.close()
    assert await sql.value("SELECT count(*) FROM event") == 0
    await ingest.commit([], [record("A", BOOT)], project)
    assert (await chargers.get("A")).twin.revision == 1


@pytest.mark.parametrize("heard", [True, False], ids=["committed", "rolled back"])
async def test_a_commit_that_got_no_answer_is_told_once(
    chargers, ingest, events, sql, monkeypatch, heard: bool
) -> None:
    """The server goes away with our COMMIT: before it did it, or before it could say so."""
    whole, lost = ingest_module.driver_transaction, iter([True])

    @asynccontextmanager
    async def cut(engine, begin: str):
        async with whole(engine, begin) as connection:
            yield connection
            if begin == statements.BEGIN and not heard and next(lost, False):
                raise EngineUnavailable("cut off")
        if begin == statements.BEGIN and heard and next(lost, False):
            raise EngineUnavailable("cut off")

    monkeypatch.setattr(ingest_module, "driver_transaction", cut)
    batch = [record("A", ChargerBooted("V", "M", "1.0"))]
    if heard:
        assert len(await ingest.commit([], batch, project)) == 1
    else:
        with pytest.raises(EngineUnavailable):
            await ingest.commit([], batch, project)
    assert await sql.value("SELECT count(*) FROM event") == int(heard)
    await ingest.commit([], [record("A", HeartbeatReceived(), second=1)], project)
    assert await sql.value("SELECT revision FROM twin WHERE charger_id = 'A'") == int(heard)


async def test_nul_and_separators_in_what_a_charger_sends_stop_nobody(chargers, ingest, events, sql) -> None:
    hostile = "a\x00b\x1fc\\u0000\u2028"
    frames = [FrameRecord("A", 1, "in", AT, hostile), FrameRecord("B", 1, "in", AT, "fine")]
    boot = ChargerBooted(hostile, "V2", hostile)
    await ingest.commit(frames, [record("A", boot, key=hostile), record("B", BOOT)], project)
    clean = hostile.replace("\x00", "\ufffd")
    assert (await chargers.get("A")).twin.firmware.version == clean
    assert (await events.timeline("A"))[0].body["vendor"] == clean
    assert {row["text"] for row in await sql("SELECT text FROM frame")} == {clean, "fine"}
    assert (await chargers.get("B")).twin.revision == 1


async def test_a_section_that_is_withdrawn_is_absent_again(chargers, ingest) -> None:
    await ingest.commit([], [record("A", BOOT)], project)
    await ingest.commit([], [record("A", BOOT)], lambda twin, _: replace(twin, identity=None))
    assert (await chargers.get("A")).twin.identity is None


async def test_many_batches_at_once_lose_nothing(chargers, ingest, engine, sql) -> None:
    """Two nodes, overlapping chargers in any order: no deadlock, every revision once."""
    stores = [ingest, PostgresIngestStore(engine)]
    orders = [["A", "B", "C"], ["C", "B", "A"], ["B", "A", "C"]]

    async def run(number: int) -> None:
        word = ConnectorStatus.FAULTED if number % 2 else ConnectorStatus.AVAILABLE
        batch = [
            record(charger_id, status(word, number), second=number)
            for charger_id in orders[number % len(orders)]
        ]
        await stores[number % 2].commit([], batch, project)

    await asyncio.gather(*(run(number) for number in range(30)))
    for charger_id in "ABC":
        twin = (await chargers.get(charger_id)).twin
        assert twin.revision == 30
        assert len(twin.operation.connectors) == 30
    rows = await sql("SELECT charger_id, revision FROM twin_history ORDER BY 1, 2")
    assert [tuple(row) for row in rows] == [(name, number) for name in "ABC" for number in range(1, 31)]
    # For one charger, numbers follow the order of commits: causes rise with revisions.
    causes = await sql("SELECT cause FROM twin_history WHERE charger_id = 'A' ORDER BY revision")
    numbers = [int(row["cause"].removeprefix("event/")) for row in causes]
    assert numbers == sorted(numbers)


class TestOutbox:
    """Who is told: only a workflow that holds the charger, only of what it waits for."""

    @pytest.fixture
    async def leased(self, chargers, engine) -> PostgresLeaseStore:
        leases = PostgresLeaseStore(engine)
        expires = datetime.now(UTC) + timedelta(hours=1)
        await leases.take(SiteLease("A", "s1", "charger/A", "update", expires))
        await PostgresRouteStore(engine).claim("A", "n7", "b7", "ocpp2.0.1", LEASE)
        return leases

    async def signals(self, engine) -> list:
        async with PostgresOutboxStore(engine).claim(100) as found:
            return [*found]

    async def test_a_boot_of_a_leased_charger_is_signalled_with_its_route(
        self, leased, ingest, engine
    ) -> None:
        (new,) = await ingest.commit([], [record("A", BOOT)], project)
        (signal,) = await self.signals(engine)
        assert signal.event == new
        assert (signal.charger_id, signal.workflow_id) == ("A", "charger/A")
        assert (signal.node_id, signal.boot_id, signal.session_epoch) == ("n7", "b7", 1)

    @pytest.mark.parametrize(
        "event",
        [
            HeartbeatReceived(),
            FirmwareStatusReported(FirmwareStatus.DOWNLOADING, 1),
            FirmwareStatusReported(FirmwareStatus.INSTALLED, 1),
            TransactionEnded("t"),
        ],
    )
    async def test_what_the_lease_does_not_wait_for_is_not_signalled(
        self, leased, ingest, engine, event
    ) -> None:
        await ingest.commit([], [record("A", event)], project)
        assert await self.signals(engine) == []

    async def test_a_charger_without_lease_is_not_signalled(self, leased, ingest, engine) -> None:
        await ingest.commit([], [record("B", BOOT)], project)
        assert await self.signals(engine) == []

    async def test_a_lease_can_wait_for_installed(self, leased, ingest, engine) -> None:
        expires = datetime.now(UTC) + timedelta(hours=1)
        lease = SiteLease("A", "s1", "charger/A", "update", expires, wake_on=("installed",))
        await leased.take(lease)
        batch = [record("A", FirmwareStatusReported(FirmwareStatus.INSTALLED, 1)), record("A", BOOT)]
        await ingest.commit([], batch, project)
        assert [each.event.kind for each in await self.signals(engine)] == [
            EventKind.FIRMWARE_STATUS_REPORTED
        ]

    async def test_a_duplicate_is_not_signalled_again(self, leased, ingest, engine) -> None:
        for _ in range(2):
            await ingest.commit([], [record("A", BOOT, key="boot-1")], project)
        assert len(await self.signals(engine)) == 1


async def _lock_twin(url: str):
    import asyncpg

    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN; SELECT 1 FROM twin WHERE charger_id = 'A' FOR UPDATE")
    return connection
