"""Twins made anew from their stored events, to be held against those in use, or put in their place (F21)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Text, cast, func, literal, null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.audit import AuditEntry
from storage.codec import decode_twin, section_patch, to_json
from storage.errors import NotFound
from storage.events import EventKind
from storage.past import Rebuilt, Repair, Repaired, differing_sections
from storage.ports import Page, Projector
from storage.postgres import cursor as cursors
from storage.postgres.audit import append_entry
from storage.postgres.batch import changed_sections, summary
from storage.postgres.engine import reading, transaction, translated
from storage.postgres.past import event_record, twin_at
from storage.postgres.statements import EVENTS_CHANNEL
from storage.postgres.tables import event, twin, twin_history, twin_section
from storage.twin import SECTION_TYPES, TwinState

_FENCED = frozenset(
    {
        EventKind.CONNECTION_OPENED.value,
        EventKind.CONNECTION_CLOSED.value,
        EventKind.CHARGER_BOOTED.value,
        EventKind.FIRMWARE_VERSION_READ.value,
    }
)
"""Of these a replaced socket's were not projected; the store does not keep which socket was replaced when,
but an event that changed something is the cause of a revision."""
_REPAIR = "rebuild/"
"""Begins the cause of a repair's revision; the number of the last event that it considered follows."""
PAGE_SECONDS = 5.0
"""A page of long pasts ends early: whoever asks goes on behind it, and nobody waits in vain for an answer."""
_HISTORY = twin_history.c


@dataclass(slots=True)
class _Made:
    """A twin as far as it was made anew."""

    twin: TwinState
    repaired_at: int
    """The last event that a repair considered; revisions are counted from there on."""
    sequence: int = 0
    events: int = 0
    changes: int = 0


class PostgresRebuildStore:
    """See ``storage.twin_ports.PastStore``."""

    _page_seconds = PAGE_SECONDS

    def __init__(self, engine: AsyncEngine, project: Projector) -> None:
        self._engine = engine
        self._project = project

    async def rebuild(self, charger_id: str) -> Rebuilt:
        """Read everything at one instant, however long that takes. Raises NotFound."""
        with translated():
            engine = self._engine.execution_options(isolation_level="REPEATABLE READ")
            async with engine.connect() as connection:
                stored = await _stored(connection, charger_id)
                recorded, repaired_at = await _recorded(connection, charger_id)
                made = _Made(TwinState(charger_id), repaired_at)
                await self._go_on(connection, made)
        differing = differing_sections(made.twin, stored)
        return Rebuilt(charger_id, made.events, made.changes, recorded, differing)

    async def rebuild_page(self, *, limit: int = 20, cursor: str | None = None) -> Page[Rebuilt]:
        """By charger id; a charger that is registered meanwhile comes if its turn was not yet."""
        query = select(twin.c.charger_id).order_by(twin.c.charger_id).limit(limit + 1)
        if cursor is not None:
            query = query.where(twin.c.charger_id > cursors.decode(cursor, 1)[0])
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        names = cursors.page(rows, limit, lambda row: str(row[0]), lambda row: [row[0]])
        clock = asyncio.get_running_loop().time
        end, found = clock() + self._page_seconds, list[Rebuilt]()
        for name in names.items:
            found.append(await self.rebuild(name))
            if clock() >= end and name != names.items[-1]:
                return Page(tuple(found), cursors.encode(name))
        return Page(tuple(found), names.next_cursor)

    async def repair(self, given: Repair) -> Repaired:
        """Everything of before is made without a lock; what came in meanwhile, under the lock of the ingest.

        So the ingest waits for a handful of events, however long the charger's past is.
        """
        async with transaction(self._engine) as connection:
            await _stored(connection, given.charger_id)
            _, repaired_at = await _recorded(connection, given.charger_id)
            made = _Made(TwinState(given.charger_id), repaired_at)
            await self._go_on(connection, made)
        async with transaction(self._engine) as connection:
            locked = select(twin.c.revision).where(twin.c.charger_id == given.charger_id)
            revision: int = (await connection.execute(locked.with_for_update(key_share=True))).scalar_one()
            await self._go_on(connection, made)
            stored = await _stored(connection, given.charger_id)
            differing = differing_sections(made.twin, stored)
            if not differing and not await _miscounted(connection, made):
                return Repaired(given.charger_id, revision, ())
            after = replace(made.twin, revision=revision + 1)
            told = (await twin_at(connection, given.charger_id, revision)).twin
            await _write(connection, after, differing)
            await _record(connection, after, told, f"{_REPAIR}{made.sequence}", given)
            await _audit(connection, given, after.revision, differing)
        return Repaired(given.charger_id, after.revision, differing)

    async def _go_on(self, connection: AsyncConnection, made: _Made) -> None:
        """Project the events past those that were, as far as they have been committed."""
        charger_id = made.twin.charger_id
        caused = (
            select(_HISTORY.cause)
            .where(_HISTORY.charger_id == charger_id, _HISTORY.side == "reported")
            .distinct()
            .subquery()
        )
        link = caused.c.cause == literal("event/") + cast(event.c.sequence, Text)
        query = (
            select(event, caused.c.cause.is_not(None).label("changed"))
            .outerjoin(caused, link)
            .where(event.c.charger_id == charger_id, event.c.sequence > made.sequence)
            .order_by(event.c.sequence)
        )
        async with connection.stream(query) as rows:
            async for row in rows:
                self._take(made, row)

    def _take(self, made: _Made, row: Any) -> None:
        made.events, made.sequence = made.events + 1, row.sequence
        if row.kind in _FENCED and not row.changed:
            return
        after, texts, _ = changed_sections(made.twin, self._project(made.twin, event_record(row)))
        if texts:
            made.twin = after
            made.changes += row.sequence > made.repaired_at


async def _stored(connection: AsyncConnection, charger_id: str) -> TwinState:
    revision = select(twin.c.revision).where(twin.c.charger_id == charger_id)
    known: int | None = (await connection.execute(revision)).scalar_one_or_none()
    if known is None:
        raise NotFound("charger", charger_id)
    query = select(twin_section.c.name, twin_section.c.reported).where(
        twin_section.c.charger_id == charger_id, twin_section.c.reported.is_not(None)
    )
    sections = {row.name: row.reported for row in await connection.execute(query)}
    return decode_twin(charger_id, known, sections)


async def _recorded(connection: AsyncConnection, charger_id: str) -> tuple[int, int]:
    """Revisions by events since the last repair, and the last event that the repair considered."""
    mine = (_HISTORY.charger_id == charger_id, _HISTORY.side == "reported")
    last = (
        select(_HISTORY.revision, _HISTORY.cause)
        .where(*mine, _HISTORY.cause.startswith(_REPAIR))
        .order_by(_HISTORY.revision.desc())
        .limit(1)
    )
    repair = (await connection.execute(last)).one_or_none()
    since, sequence = (repair.revision, int(repair.cause.removeprefix(_REPAIR))) if repair else (0, 0)
    query = select(func.count(_HISTORY.revision.distinct())).where(*mine, _HISTORY.revision > since)
    return int((await connection.execute(query)).scalar_one()), sequence


async def _miscounted(connection: AsyncConnection, made: _Made) -> bool:
    """Whether the history has another number of revisions than the events make, though all is right now."""
    recorded, repaired_at = await _recorded(connection, made.twin.charger_id)
    # Somebody who repaired it in between counted anew.
    return repaired_at == made.repaired_at and recorded != made.changes


async def _write(connection: AsyncConnection, after: TwinState, names: Sequence[str]) -> None:
    for name in names:
        section = getattr(after, name)
        values = {
            "reported": null() if section is None else to_json(section),
            "reported_version": after.revision,
        }
        statement = insert(twin_section).values(charger_id=after.charger_id, name=name, **values)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["charger_id", "name"], set_=values)
        )
    online, charging, faulted, version = summary(after)
    await connection.execute(
        update(twin)
        .where(twin.c.charger_id == after.charger_id)
        .values(
            revision=after.revision,
            online=online,
            charging=charging,
            faulted=faulted,
            firmware_version=version,
        )
    )


async def _record(
    connection: AsyncConnection, after: TwinState, told: TwinState, cause: str, given: Repair
) -> None:
    """History as it has to be for its last revision to read like the twin, whatever it said before."""
    rows = [
        {
            "charger_id": after.charger_id,
            "revision": after.revision,
            "section": name,
            "patch": _patch(getattr(told, name), getattr(after, name)),
        }
        for name in SECTION_TYPES
        if getattr(told, name) != getattr(after, name)
    ]
    if not rows:
        # The history was right and only the twin was not: the marker is wanted all the same.
        reported = [name for name in SECTION_TYPES if getattr(after, name) is not None]
        nothing = {"charger_id": after.charger_id, "revision": after.revision, "patch": {}}
        rows = [{**nothing, "section": name} for name in reported[:1]]
    common = {
        "side": "reported",
        "actor": given.actor,
        "cause": cause,
        "observed_at": given.at,
        "received_at": given.at,
    }
    if rows:
        await connection.execute(insert(twin_history), [{**row, **common} for row in rows])
    await connection.execute(select(func.pg_notify(EVENTS_CHANNEL, "")))


def _patch(before: Any, after: Any) -> Any:
    """None: nothing was ever reported of it."""
    return None if after is None else section_patch(to_json(before) or {}, to_json(after))


async def _audit(connection: AsyncConnection, given: Repair, revision: int, differing: Sequence[str]) -> None:
    detail = {"reason": given.reason, "sections": list(differing), "revision": revision}
    subject = f"charger/{given.charger_id}"
    await append_entry(connection, AuditEntry(given.at, given.actor, "twin.repaired", subject, detail))
