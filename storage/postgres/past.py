"""Reading twins of the past: a snapshot, and the patches that follow it. Never on the hot path."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, cast, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import Text

from storage.codec import apply_patch, decode_event, decode_twin
from storage.errors import InvalidInput, NotFound
from storage.events import EventKind, EventRecord
from storage.past import LATE, SNAPSHOT_EVERY, Origin, PastQuestion, PastTwin, with_late
from storage.ports import Projector
from storage.postgres.engine import reading, transaction
from storage.postgres.tables import (
    event,
    frame,
    twin,
    twin_history,
    twin_snapshot,
    twin_summarised,
)
from storage.twin_schema import patch_keys

MOST_PATCHES = 20_000
MOST_LATE = 10_000
MOST_FRAMES = 3
_BEFORE_FIRST = 0
_HISTORY = twin_history.c
Sides = dict[str, dict[str, Any]]
"""side -> section -> JSON."""


class PostgresPastStore:
    """See ``storage.twin_ports.PastStore``."""

    def __init__(self, engine: AsyncEngine, project: Projector) -> None:
        self._engine = engine
        self._project = project

    async def past(self, charger_id: str, question: PastQuestion) -> PastTwin:
        """The twin as it was. Raises NotFound for an unknown charger, or a revision it does not have yet."""
        async with reading(self._engine) as connection:
            newest = await _revision(connection, charger_id)
            instant = question.known_at or question.true_at
            if instant is not None:
                revision = await _revision_at(connection, charger_id, instant)
            else:
                revision = question.revision or _BEFORE_FIRST
            if revision > newest:
                raise NotFound("revision", str(revision), hint=f"The latest one is {newest}.")
            found = await twin_at(connection, charger_id, revision)
            if question.true_at is None:
                return found
            late = await _late(connection, charger_id, question.true_at)
        state = with_late(found.twin, [record for _, record in late], self._project)
        sequences = tuple(sequence for sequence, _ in late)
        return PastTwin(state, found.received_at, found.desired, sequences)

    async def origin(self, charger_id: str, path: str, *, side: str = "reported") -> Origin:
        """The latest mutation that set a path, with its event and frames. Raises NotFound."""
        section, keys = path.partition(".")[0], list(patch_keys(path))
        async with reading(self._engine) as connection:
            await _revision(connection, charger_id)
            setting = _HISTORY.patch.op("#>", return_type=_HISTORY.patch.type)(cast(keys, ARRAY(Text)))
            query = (
                select(twin_history, setting.label("value"))
                .where(
                    _HISTORY.charger_id == charger_id,
                    _HISTORY.section == section,
                    _HISTORY.side == side,
                    setting.is_not(None),
                )
                .order_by(_HISTORY.revision.desc())
                .limit(1)
            )
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise NotFound("value", path, hint=f"Nothing ever set it for {charger_id}.")
            told, frames = await _cause(connection, charger_id, row.cause)
        return Origin(
            charger_id=charger_id,
            path=path,
            value=row.value,
            revision=row.revision,
            side=side,
            actor=row.actor,
            cause=row.cause,
            observed_at=row.observed_at,
            received_at=row.received_at,
            event=told,
            frames=frames,
        )

    async def summarise(self, *, limit: int = 200) -> int:
        """Write the snapshots that are due for up to ``limit`` chargers; how many were written."""
        last = func.coalesce(twin_summarised.c.revision, 0)
        query = (
            select(twin.c.charger_id, twin.c.revision)
            .outerjoin(twin_summarised, twin_summarised.c.charger_id == twin.c.charger_id)
            .where(twin.c.revision - last >= SNAPSHOT_EVERY)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            due = (await connection.execute(query)).all()
        written = 0
        for charger_id, revision in due:
            written += await self._summarise(charger_id, revision)
        return written

    async def _summarise(self, charger_id: str, newest: int) -> int:
        """Up to twenty snapshots of one charger in one transaction; the next round goes on."""
        async with transaction(self._engine) as connection:
            base, sides = await _base(connection, charger_id, newest)
            marks = range(base + SNAPSHOT_EVERY, newest + 1, SNAPSHOT_EVERY)[:20]
            if not marks:
                return 0
            rows = await _patches(connection, charger_id, base, marks[-1])
            place = 0
            for mark in marks:
                while place < len(rows) and rows[place].revision <= mark:
                    _apply(sides, rows[place])
                    place += 1
                if place:
                    await _put_snapshot(connection, charger_id, mark, rows[place - 1].received_at, sides)
            pointer = insert(twin_summarised).values(charger_id=charger_id, revision=marks[-1])
            await connection.execute(
                pointer.on_conflict_do_update(
                    index_elements=["charger_id"], set_={"revision": pointer.excluded.revision}
                )
            )
            return len(marks)


async def _revision(connection: AsyncConnection, charger_id: str) -> int:
    query = select(twin.c.revision).where(twin.c.charger_id == charger_id)
    revision: int | None = (await connection.execute(query)).scalar_one_or_none()
    if revision is None:
        raise NotFound("charger", charger_id)
    return revision


async def _revision_at(connection: AsyncConnection, charger_id: str, instant: datetime) -> int:
    """The latest revision that had come about by then, looked for between two snapshots."""
    snapshot = twin_snapshot.c
    later = select(func.min(snapshot.revision)).where(
        snapshot.charger_id == charger_id, snapshot.at > instant
    )
    ceiling: int | None = (await connection.execute(later)).scalar_one()
    query = (
        select(_HISTORY.revision)
        .where(_HISTORY.charger_id == charger_id, _HISTORY.received_at <= instant)
        .order_by(_HISTORY.revision.desc())
        .limit(1)
    )
    if ceiling is not None:
        query = query.where(_HISTORY.revision < ceiling)
    return (await connection.execute(query)).scalar_one_or_none() or _BEFORE_FIRST


async def _base(connection: AsyncConnection, charger_id: str, revision: int) -> tuple[int, Sides]:
    """The latest snapshot up to a revision, or nothing at revision 0."""
    snapshot = twin_snapshot.c
    query = (
        select(snapshot.revision, snapshot.sides)
        .where(snapshot.charger_id == charger_id, snapshot.revision <= revision)
        .order_by(snapshot.revision.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    sides: Sides = defaultdict(dict)
    if row is None:
        return _BEFORE_FIRST, sides
    sides.update(row.sides)
    return row.revision, sides


async def _patches(
    connection: AsyncConnection, charger_id: str, after: int, until: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    query = (
        select(_HISTORY.revision, _HISTORY.section, _HISTORY.side, _HISTORY.patch, _HISTORY.received_at)
        .where(_HISTORY.charger_id == charger_id, _HISTORY.revision > after, _HISTORY.revision <= until)
        .order_by(_HISTORY.revision)
        .limit(MOST_PATCHES + 1)
    )
    rows = (await connection.execute(query)).all()
    if len(rows) > MOST_PATCHES:
        raise InvalidInput(
            f"The history of {charger_id} has more than {MOST_PATCHES} changes since its last snapshot.",
            hint="Housekeeping writes snapshots; ask again when it has caught up.",
        )
    return rows


def _apply(sides: Sides, row: Row[*tuple[Any, ...]]) -> None:
    sections = sides.setdefault(row.side, {})
    if row.patch is None:  # a repair found that nothing had ever been reported of it
        sections.pop(row.section, None)
        return
    sections[row.section] = apply_patch(sections.get(row.section) or {}, row.patch)


async def twin_at(connection: AsyncConnection, charger_id: str, revision: int) -> PastTwin:
    """The twin of a revision, from a snapshot and the patches after it."""
    base, sides = await _base(connection, charger_id, revision)
    rows = await _patches(connection, charger_id, base, revision)
    for row in rows:
        _apply(sides, row)
    state = decode_twin(charger_id, revision, sides.get("reported", {}))
    received_at = rows[-1].received_at if rows else await _time_of(connection, charger_id, base)
    return PastTwin(state, received_at, sides.get("desired", {}))


async def _time_of(connection: AsyncConnection, charger_id: str, revision: int) -> datetime | None:
    query = select(twin_snapshot.c.at).where(
        twin_snapshot.c.charger_id == charger_id, twin_snapshot.c.revision == revision
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def _late(
    connection: AsyncConnection, charger_id: str, instant: datetime
) -> list[tuple[int, EventRecord]]:
    """What happened by then and came in later. A clock that stands in 1970 tells nothing of that time."""
    columns = event.c
    query = (
        select(event)
        .where(
            columns.charger_id == charger_id,
            columns.received_at > instant,
            columns.received_at <= instant + LATE,
            columns.observed_at <= instant,
            columns.observed_at > instant - LATE,
        )
        .order_by(columns.received_at, columns.sequence)
        .limit(MOST_LATE)
    )
    return [(row.sequence, event_record(row)) for row in await connection.execute(query)]


def event_record(row: Row[*tuple[Any, ...]]) -> EventRecord:
    """A stored event as it was when it was projected."""
    return EventRecord(
        row.charger_id,
        decode_event(EventKind(row.kind), row.body),
        row.observed_at,
        row.received_at,
        row.session_epoch,
    )


async def _cause(
    connection: AsyncConnection, charger_id: str, cause: str
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    kind, _, number = cause.partition("/")
    if kind != "event" or not number.isdigit():
        return None, ()
    row = (await connection.execute(select(event).where(event.c.sequence == int(number)))).one_or_none()
    if row is None:
        return None, ()
    columns = frame.c
    heard = (
        select(columns.text)
        .where(
            tuple_(columns.charger_id, columns.at) == tuple_(charger_id, row.received_at),
            columns.session_epoch == row.session_epoch,
            columns.direction == "in",
        )
        .order_by(columns.frame_id)
        .limit(MOST_FRAMES)
    )
    frames = tuple((await connection.execute(heard)).scalars())
    return {"sequence": row.sequence, "kind": row.kind, "body": row.body}, frames


async def _put_snapshot(
    connection: AsyncConnection, charger_id: str, revision: int, at: datetime, sides: Sides
) -> None:
    statement = insert(twin_snapshot).values(charger_id=charger_id, revision=revision, at=at, sides=sides)
    await connection.execute(statement.on_conflict_do_nothing())
