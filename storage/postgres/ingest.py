"""The hot path: one transaction per batch of frames and events, six round trips, any batch size."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.codec import decode_twin
from storage.errors import EngineUnavailable, InvalidInput
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
    is_fenced,
    json_text,
    last_messages,
    packed,
)
from storage.postgres.bell import Bell
from storage.postgres.engine import driver_transaction
from storage.twin import TwinState

REMEMBERED = 20_000
"""Twins kept decoded, least recently used first out; a revision names one content for ever."""


_FATE_PAUSES_S = (0.0, 0.1, 0.5, *(2.0,) * 15)
"""Between questions what became of a commit: a server that restarts needs half a minute at most."""


@dataclass(slots=True)
class _Deed:
    """One transaction, while it runs."""

    number: str = ""
    """PostgreSQL's."""
    known: dict[str, Known] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)
    """Who is to look once it is committed: channels."""
    new: NewEvents | None = None
    """Set when only COMMIT is left to do."""


class PostgresIngestStore:
    """Journal, events, twins, history and outbox, all or nothing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._bell = Bell(engine)
        self._twins: OrderedDict[str, TwinState] = OrderedDict()

    async def commit(
        self, frames: Sequence[FrameRecord], events: Sequence[EventRecord], project: Projector
    ) -> Sequence[StoredEvent]:
        """See ``storage.ports.IngestStore``. What ``project`` raises passes through and nothing is stored."""
        if not frames and not events:
            return ()
        deed = _Deed()
        try:
            await self._transact(deed, frames, events, project)
        except EngineUnavailable:
            # Done again blindly, what was committed unheard would be told twice.
            if deed.new is None or not await self._was_committed(deed.number):
                raise
        self._bell.ring(deed.news)
        self._remember(deed.known)
        return deed.new or ()

    async def _transact(
        self, deed: _Deed, frames: Sequence[FrameRecord], events: Sequence[EventRecord], project: Projector
    ) -> None:
        heard = last_messages(frames, events)
        bodies = [json_text(record.event) for record in events]
        async with driver_transaction(self._engine, statements.BEGIN) as connection:
            await self._read(deed, connection, heard.keys(), events)
            rows = await connection.fetch(
                statements.STORE, *frame_columns(frames), *event_columns(events, bodies)
            )
            numbered = [(place, sequence) for place, sequence in rows]
            batch = Batch(deed.known, project)
            for place, sequence in numbered:
                batch.apply(events[place], sequence)
            await connection.execute(
                statements.APPLY,
                *batch.section_columns(),
                *batch.history_columns(),
                *batch.twin_columns(heard),
                *columns(batch.signals, 6),
            )
            if batch.refused:
                await connection.execute(statements.NOTE_ANOMALIES, *columns(batch.refused, 6))
            if events:
                deed.news = [statements.EVENTS_CHANNEL] + [statements.OUTBOX_CHANNEL] * bool(batch.signals)
            deed.new = NewEvents(numbered, events, bodies)

    async def _was_committed(self, number: str) -> bool:
        """What became of a transaction whose COMMIT got no answer; False also where nobody can say."""
        for pause_s in _FATE_PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                async with driver_transaction(self._engine, "BEGIN READ ONLY") as connection:
                    fate = await connection.fetchval(statements.FATE, number)
            except EngineUnavailable:
                continue
            except InvalidInput:  # another server took over and never heard of it
                return False
            if fate != "in progress":
                return bool(fate == "committed")
        return False

    async def _read(
        self, deed: _Deed, connection: Any, heard: Iterable[str], events: Sequence[EventRecord]
    ) -> None:
        charger_ids = {record.charger_id for record in events}.union(heard)
        remembered = {name: self._twins[name] for name in charger_ids if name in self._twins}
        revisions = [remembered[name].revision if name in remembered else None for name in charger_ids]
        fenced = {record.charger_id for record in events if is_fenced(record)}
        given = (packed(charger_ids), packed(revisions), packed([name in fenced for name in charger_ids]))
        deed.number = await connection.fetchval(statements.LOCK_TWINS, given[0])
        known = deed.known = {name: Known(twin) for name, twin in remembered.items()}
        for row in await connection.fetch(statements.READ_FACTS, *given):
            if row["revision"] is None:
                # No charger of ours: a stranger's refused connection is an event and changes no twin.
                known.pop(row["charger_id"], None)
            else:
                known[row["charger_id"]] = _facts(row, remembered.get(row["charger_id"]))

    def _remember(self, known: dict[str, Known]) -> None:
        """Only after the commit: what was rolled back must not be believed."""
        for charger_id, each in known.items():
            self._twins[charger_id] = each.twin
            self._twins.move_to_end(charger_id)
        while len(self._twins) > REMEMBERED:
            self._twins.popitem(last=False)


def _facts(row: Any, remembered: TwinState | None) -> Known:
    charger_id, revision = row["charger_id"], row["revision"]
    if remembered is not None and remembered.revision == revision:
        twin = remembered
    else:
        twin = decode_twin(charger_id, revision, orjson.loads(row["sections"] or "{}"))
    return Known(
        twin,
        row["session_epoch"] or 0,
        row["node_id"] or "",
        row["boot_id"] or "",
        row["workflow_id"],
        tuple(row["wake_on"] or ()),
    )
