import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.ingest import Ingest, IngestOptions
from csms.metrics import CsmsMetrics
from csms.projection import project
from storage.errors import EngineUnavailable
from storage.events import (
    EventRecord,
    FrameRecord,
    HeartbeatReceived,
    MeterValuesSampled,
    SecurityEventReported,
)

Record = Callable[..., EventRecord]
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def sample(ingest: Ingest, name: str) -> float:
    value = ingest._metrics.registry.get_sample_value(name)
    assert value is not None
    return value


async def test_many_messages_become_one_transaction(store: Any, ingest: Ingest, record: Record) -> None:
    store.gate = asyncio.Event()
    first = await ingest.put([], [record(HeartbeatReceived())])
    await asyncio.wait_for(store.committing.wait(), 5)
    rest = [await ingest.put([], [record(HeartbeatReceived())]) for _ in range(50)]
    assert not first.done()
    store.gate.set()
    await asyncio.wait_for(asyncio.gather(first, *rest), 5)
    assert store.batches == [1, 50]


async def test_few_wait_for_others_only_behind_another_commit(store: Any, record: Record) -> None:
    """A pause that would outlast the test shows that nobody but those few waits for it."""
    ingest = Ingest(store, project, IngestOptions(interval_s=0, pause_s=600, few=6), CsmsMetrics())
    ingest.start()
    await asyncio.wait_for(await ingest.put([], [record(HeartbeatReceived())]), 5)
    few = [await ingest.put([], [record(HeartbeatReceived())]) for _ in range(5)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert store.batches == [1]
    few.append(await ingest.put([], [record(HeartbeatReceived())]))
    await asyncio.wait_for(asyncio.gather(*few), 5)
    assert store.batches == [1, 6]
    last = await ingest.put([], [record(HeartbeatReceived())])
    await asyncio.wait_for(ingest.stop(5), 10)
    assert last.done()
    assert store.batches == [1, 6, 1]


async def test_order_is_kept(store: Any, ingest: Ingest, record: Record) -> None:
    done = [await ingest.put([], [record(SecurityEventReported(str(number)))]) for number in range(20)]
    await asyncio.wait_for(asyncio.gather(*done), 5)
    assert [event.type for event in store.facts(SecurityEventReported)] == [str(n) for n in range(20)]


async def test_while_the_store_is_away_nothing_is_answered_and_nothing_lost(
    store: Any, ingest: Ingest, record: Record
) -> None:
    store.away = 3
    done = await ingest.put([], [record(HeartbeatReceived())])
    await asyncio.wait_for(done, 5)
    assert store.away == 0
    assert len(store.events) == 1
    assert sample(ingest, "ampwave_ingest_commit_failures_total") == 3


async def test_what_the_store_refuses_fails_alone(store: Any, ingest: Ingest, record: Record) -> None:
    store.poison = "BAD"
    store.gate = asyncio.Event()
    await ingest.put([], [record(HeartbeatReceived())])
    await asyncio.wait_for(store.committing.wait(), 5)
    bad = FrameRecord("BAD", 1, "in", record(HeartbeatReceived()).received_at, "x")
    good, refused, other = [
        await ingest.put(frames, [record(HeartbeatReceived())]) for frames in ([], [bad], [])
    ]
    store.gate.set()
    with pytest.raises(ValueError, match="cannot be stored"):
        await asyncio.wait_for(refused, 5)
    await asyncio.wait_for(asyncio.gather(good, other), 5)
    assert len(store.events) == 3


class Choosy:
    """A store that refuses every batch with one of these chargers in it."""

    def __init__(self, refused: set[str]) -> None:
        self.refused = refused
        self.attempts = 0
        self.stored: list[str] = []
        self.reached = asyncio.Event()
        self.hang_at = 0

    async def commit(self, frames: Any, events: Any, project: Any) -> Any:
        self.attempts += 1
        if self.attempts == self.hang_at:
            self.reached.set()
            await asyncio.Event().wait()
        names = [event.charger_id for event in events]
        if self.refused.intersection(names):
            raise ValueError("this cannot be stored")
        self.stored += names


WHOLE = IngestOptions(interval_s=0, max_batch=1000)


@settings(max_examples=40)
@given(st.integers(1, 60), st.sets(st.integers(0, 59), max_size=4))
async def test_a_refused_batch_is_halved_until_the_bad_ones_are_alone(count: int, bad: set[int]) -> None:
    names = [f"CP-{number}" for number in range(count)]
    refused = {names[number] for number in bad if number < count}
    store = Choosy(refused)
    ingest = Ingest(store, project, WHOLE, CsmsMetrics())
    putting = [await ingest.put([], [_heard(name)]) for name in names]
    with (
        structlog.testing.capture_logs()
    ):  # Drawing every traceback takes a hundred times as long as all else.
        ingest.start()
        results = await asyncio.gather(*putting, return_exceptions=True)
        await ingest.stop(5)
    assert {name for name, result in zip(names, results, strict=True) if result is not None} == refused
    assert store.stored == [name for name in names if name not in refused], "in the order in which they came"
    assert store.attempts <= 1 + 2 * len(refused) * (count - 1).bit_length()


async def test_one_bad_record_in_a_thousand_costs_twenty_commits() -> None:
    store = Choosy({"CP-700"})
    ingest = Ingest(store, project, WHOLE, CsmsMetrics())
    putting = [await ingest.put([], [_heard(f"CP-{number}")]) for number in range(1000)]
    ingest.start()
    results = await asyncio.gather(*putting, return_exceptions=True)
    await ingest.stop(5)
    assert sum(result is not None for result in results) == 1
    assert store.attempts <= 21
    assert len(store.stored) == 999


async def test_a_stop_in_the_middle_of_halving_leaves_nobody_waiting() -> None:
    store = Choosy({"CP-0"})
    store.hang_at = 3
    ingest = Ingest(store, project, WHOLE, CsmsMetrics())
    putting = [await ingest.put([], [_heard(f"CP-{number}")]) for number in range(8)]
    ingest.start()
    await asyncio.wait_for(store.reached.wait(), 5)
    await ingest.stop(0)
    results = await asyncio.wait_for(asyncio.gather(*putting, return_exceptions=True), 5)
    assert all(isinstance(result, EngineUnavailable) for result in results)
    assert store.stored == []


def _heard(charger_id: str) -> EventRecord:
    return EventRecord(charger_id, HeartbeatReceived(), START, START, 1)


async def test_memory_is_bounded_the_sockets_wait(store: Any, record: Record) -> None:
    ingest = Ingest(store, project, IngestOptions(interval_s=0, max_pending_bytes=2000), CsmsMetrics())
    store.gate = asyncio.Event()
    ingest.start()
    putting = [asyncio.create_task(ingest.put([], [record(HeartbeatReceived())])) for _ in range(20)]
    await asyncio.wait_for(store.committing.wait(), 5)
    assert sum(task.done() for task in putting) == 4
    assert sample(ingest, "ampwave_ingest_pending_bytes") == 2000
    store.gate.set()
    await asyncio.wait_for(asyncio.gather(*[await task for task in putting]), 5)
    assert len(store.events) == 20
    await ingest.stop(5)


@pytest.mark.requirement("F101")
async def test_under_pressure_samples_are_thinned_and_nothing_else(store: Any, record: Record) -> None:
    options = IngestOptions(interval_s=0, max_pending_bytes=100_000, shed_share=0.1, keep_one_in=10)
    ingest = Ingest(store, project, options, CsmsMetrics())
    store.gate = asyncio.Event()
    ingest.start()
    for _ in range(20):
        await ingest.put([], [record(HeartbeatReceived())])
    both = [record(SecurityEventReported("x")), record(MeterValuesSampled(1))]
    done = [await ingest.put([], both) for _ in range(10)]
    done += [await ingest.put([], [record(MeterValuesSampled(1))]) for _ in range(40)]
    store.gate.set()
    await asyncio.wait_for(asyncio.gather(*done), 5)
    await ingest.stop(5)
    assert len(store.facts(HeartbeatReceived)) == 20
    assert len(store.facts(SecurityEventReported)) == 10
    assert len(store.facts(MeterValuesSampled)) == 5
    assert sample(ingest, "ampwave_ingest_shed_total") == 45


async def test_stopping_stores_what_is_pending(store: Any, record: Record) -> None:
    ingest = Ingest(store, project, IngestOptions(interval_s=0), CsmsMetrics())
    ingest.start()
    done = await ingest.put([], [record(HeartbeatReceived())])
    await ingest.stop(5)
    assert done.done()
    assert len(store.events) == 1
    with pytest.raises(EngineUnavailable):
        await ingest.put([], [record(HeartbeatReceived())])


async def test_stopping_without_a_store_acknowledges_nothing(store: Any, record: Record) -> None:
    store.gate = asyncio.Event()
    ingest = Ingest(store, project, IngestOptions(interval_s=0), CsmsMetrics())
    ingest.start()
    first = await ingest.put([], [record(HeartbeatReceived())])
    await asyncio.wait_for(store.committing.wait(), 5)
    second = await ingest.put([], [record(HeartbeatReceived())])
    await ingest.stop(0)
    for done in (first, second):
        with pytest.raises(EngineUnavailable):
            await done
    assert store.events == []


@dataclass
class WatchedStore:
    """Commits when it is let, and knows which chargers are in which commit."""

    running: list[set[str]] = field(default_factory=list)
    together: int = 0
    mixed: bool = False
    order: dict[str, list[str]] = field(default_factory=dict)
    gates: list[asyncio.Event] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(self, frames: Any, events: Any, project: Any) -> Any:
        chargers = {event.charger_id for event in events}
        self.mixed = self.mixed or any(chargers & other for other in self.running)
        self.running.append(chargers)
        self.together = max(self.together, len(self.running))
        gate = asyncio.Event()
        self.gates.append(gate)
        self.began.set()
        await gate.wait()
        self.running.remove(chargers)
        for event in events:
            self.order.setdefault(event.charger_id, []).append(event.event.type)
        return ()


async def test_two_commits_at_once_never_hold_the_same_charger(record: Record) -> None:
    """The second one begins while the first runs; what belongs to a charger of the first one waits."""
    store = WatchedStore()
    options = IngestOptions(interval_s=0, lane_from=2)
    ingest = Ingest(store, project, options, CsmsMetrics())
    ingest.start()
    done: list[Exception | None] = []
    for turn in range(6):
        for charger_id in ("A", "B", "C"):
            event = replace(record(SecurityEventReported(str(turn))), charger_id=charger_id)
            assert ingest.offer([], [event], done.append)
        await asyncio.wait_for(store.began.wait(), 5)
    async with asyncio.timeout(5):
        while len(done) < 18:
            # The latest first: commits end in any order.
            for gate in reversed(store.gates):
                gate.set()
            await asyncio.sleep(0)
    await ingest.stop(5)
    assert not store.mixed
    assert store.order == {name: [str(turn) for turn in range(6)] for name in ("A", "B", "C")}
    assert done == [None] * 18


async def test_another_commit_runs_beside_one_that_takes_long(record: Record) -> None:
    store = WatchedStore()
    ingest = Ingest(store, project, IngestOptions(interval_s=0, lane_from=2), CsmsMetrics())
    ingest.start()
    done: list[str] = []

    def offer(charger_id: str) -> None:
        event = replace(record(SecurityEventReported("x")), charger_id=charger_id)
        assert ingest.offer([], [event], lambda _: done.append(charger_id))

    offer("SLOW")
    await asyncio.wait_for(store.began.wait(), 5)
    for charger_id in ("A", "B", "SLOW"):
        offer(charger_id)
    async with asyncio.timeout(5):
        while len(store.gates) < 2:  # noqa: ASYNC110 - the ingest decides when
            await asyncio.sleep(0)
        store.gates[1].set()
        while len(done) < 2:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0)
    assert sorted(done) == ["A", "B"]
    async with asyncio.timeout(5):
        while len(done) < 4:
            for gate in store.gates:
                gate.set()
            await asyncio.sleep(0)
    assert done[2:] == ["SLOW", "SLOW"]
    assert store.together == 2
    await ingest.stop(5)


async def test_stopping_gives_way_to_the_commit_that_holds_all_the_others(record: Record) -> None:
    """Enough waits for a second commit, but all of it belongs to the charger of the first."""
    store = WatchedStore()
    ingest = Ingest(store, project, IngestOptions(interval_s=0, lane_from=2), CsmsMetrics())
    ingest.start()
    done: list[Exception | None] = []
    assert ingest.offer([], [record(SecurityEventReported("0"))], done.append)
    await asyncio.wait_for(store.began.wait(), 5)
    for number in (1, 2, 3):
        assert ingest.offer([], [record(SecurityEventReported(str(number)))], done.append)
    looked = 0
    take = ingest._take

    def counted() -> Any:
        nonlocal looked
        looked += 1
        assert looked < 100, "the loop turns without giving way"
        return take()

    ingest._take = counted  # type: ignore[method-assign]
    stopping = asyncio.create_task(ingest.stop(5))
    before = looked
    async with asyncio.timeout(5):
        while looked == before:  # noqa: ASYNC110 - the ingest decides when
            await asyncio.sleep(0)
        while not stopping.done():
            for gate in store.gates:
                gate.set()
            await asyncio.sleep(0)
    await stopping
    assert done == [None] * 4
    assert list(store.order.values()) == [["0", "1", "2", "3"]]
