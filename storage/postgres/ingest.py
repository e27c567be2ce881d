"""The hot path: one transaction per batch of frames and events, six round trips, any batch size."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.codec import decode_twin
from storage.events import EventRecord, FrameRecord, StoredEvent
from storage.ports import Projector
from storage.postgres import statements
from storage.postgres.batch import (
    Batch,
    Known,
    NewEvents,
    columns,
    event_columns,
    frame_columns,
    json_text,
    last_messages,
    packed,
)
from storage.postgres.engine import driver_transaction
from storage.twin import TwinState

REMEMBERED = 20_000
"""Twins kept decoded, least recently used first out; a revision names one content for ever."""


class PostgresIngestStore:
    """Journal, events, twins, history and outbox, all or nothing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._twins: OrderedDict[str, TwinState] = OrderedDict()

    async def commit(
        self, frames: Sequence[FrameRecord], events: Sequence[EventRecord], project: Projector
    ) -> Sequence[StoredEvent]:
        """See ``storage.ports.IngestStore``. What ``project`` raises passes through and nothing is stored."""
        if not frames and not events:
            return ()
        heard = last_messages(frames, events)
        bodies = [json_text(record.event) for record in events]
        async with driver_transaction(self._engine, statements.BEGIN) as connection:
            known = await self._read(connection, {record.charger_id for record in events} | heard.keys())
            rows = await connection.fetch(
                statements.STORE, *frame_columns(frames), *event_columns(events, bodies)
            )
            numbered = [(place, sequence) for place, sequence in rows]
            batch = Batch(known, project)
            for place, sequence in numbered:
                batch.apply(events[place], sequence)
            channels = [statements.EVENTS_CHANNEL] + [statements.OUTBOX_CHANNEL] * bool(batch.signals)
            await connection.execute(
                statements.APPLY,
                *batch.section_columns(),
                *batch.history_columns(),
                *batch.twin_columns(heard),
                *columns(batch.signals, 6),
                channels if events else [],
            )
        self._remember(known)
        return NewEvents(numbered, events, bodies)

    async def _read(self, connection: Any, charger_ids: set[str]) -> dict[str, Known]:
        locked = await connection.fetch(statements.LOCK_TWINS, packed(charger_ids))
        known: dict[str, Known] = {}
        wanted: list[bool] = []
        for row in locked:
            twin = self._twins.get(row["charger_id"])
            fresh = twin is not None and twin.revision == row["revision"]
            wanted.append(not fresh)
            known[row["charger_id"]] = Known(
                twin if twin and fresh else TwinState(row["charger_id"], revision=row["revision"])
            )
        for row in await connection.fetch(statements.READ_FACTS, packed(known), packed(wanted)):
            _fill(known[row["charger_id"]], row)
        return known

    def _remember(self, known: dict[str, Known]) -> None:
        """Only after the commit: what was rolled back must not be believed."""
        for charger_id, each in known.items():
            self._twins[charger_id] = each.twin
            self._twins.move_to_end(charger_id)
        while len(self._twins) > REMEMBERED:
            self._twins.popitem(last=False)


def _fill(known: Known, row: Any) -> None:
    known.session_epoch = row["session_epoch"] or 0
    known.node_id = row["node_id"] or ""
    known.boot_id = row["boot_id"] or ""
    known.workflow_id = row["workflow_id"]
    known.wake_on = tuple(row["wake_on"] or ())
    if row["sections"] is not None:
        twin = known.twin
        known.twin = decode_twin(twin.charger_id, twin.revision, orjson.loads(row["sections"]))
