import asyncio
from collections.abc import Callable
from typing import Any

import pytest

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
