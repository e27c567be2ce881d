"""The journal answers which of a charger's messages it holds, whatever else is in it."""

from datetime import UTC, datetime

import pytest

from storage.events import FrameRecord
from storage.postgres.frames import PostgresFrameStore
from storage.postgres.ingest import PostgresIngestStore

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


async def test_message_ids_are_those_of_the_chargers_own_calls(chargers, engine) -> None:
    journaled = [
        ("A", "in", '[2,"call","Heartbeat",{}]'),
        ("A", "in", ' [ 6 , "send", "NotifyPeriodicEventStream", {}]'),
        ("A", "in", '[2,"call","Heartbeat",{}]'),
        ("A", "in", '[3,"answer",{}]'),
        ("A", "in", "no json at all"),
        ("A", "out", '[2,"ours","Reset",{}]'),
        ("B", "in", '[2,"of-another","Heartbeat",{}]'),
    ]
    frames = [FrameRecord(charger_id, 1, direction, AT, text) for charger_id, direction, text in journaled]
    await PostgresIngestStore(engine).commit(frames, [], lambda twin, _: twin)
    store = PostgresFrameStore(engine)
    assert await store.message_ids("A") == {"call", "send"}
    assert await store.message_ids("C") == frozenset()
