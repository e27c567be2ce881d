"""A twin made anew from its stored events, to be held against the one in use (F21)."""

from sqlalchemy import Text, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.codec import decode_twin
from storage.errors import NotFound
from storage.events import EventKind
from storage.past import Rebuilt, differing_sections
from storage.ports import Projector
from storage.postgres.batch import changed_sections
from storage.postgres.engine import translated
from storage.postgres.past import event_record
from storage.postgres.tables import event, twin, twin_history, twin_section
from storage.twin import TwinState

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


class PostgresRebuildStore:
    """See ``storage.twin_ports.RebuildStore``."""

    def __init__(self, engine: AsyncEngine, project: Projector) -> None:
        self._engine = engine
        self._project = project

    async def rebuild(self, charger_id: str) -> Rebuilt:
        """Read everything at one instant, however long that takes. Raises NotFound."""
        with translated():
            engine = self._engine.execution_options(isolation_level="REPEATABLE READ")
            async with engine.connect() as connection:
                stored = await _stored(connection, charger_id)
                recorded = await _recorded(connection, charger_id)
                made, events, changes = await self._made(connection, charger_id)
        return Rebuilt(charger_id, events, changes, recorded, differing_sections(made, stored))

    async def _made(self, connection: AsyncConnection, charger_id: str) -> tuple[TwinState, int, int]:
        caused = (
            select(twin_history.c.cause)
            .where(twin_history.c.charger_id == charger_id, twin_history.c.side == "reported")
            .distinct()
            .subquery()
        )
        link = caused.c.cause == literal("event/") + cast(event.c.sequence, Text)
        query = (
            select(event, caused.c.cause.is_not(None).label("changed"))
            .outerjoin(caused, link)
            .where(event.c.charger_id == charger_id)
            .order_by(event.c.sequence)
        )
        state, events, changes = TwinState(charger_id), 0, 0
        async with connection.stream(query) as rows:
            async for row in rows:
                events += 1
                if row.kind in _FENCED and not row.changed:
                    continue
                after, texts, _ = changed_sections(state, self._project(state, event_record(row)))
                if texts:
                    state, changes = after, changes + 1
        return state, events, changes


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


async def _recorded(connection: AsyncConnection, charger_id: str) -> int:
    query = select(func.count(twin_history.c.revision.distinct())).where(
        twin_history.c.charger_id == charger_id, twin_history.c.side == "reported"
    )
    return int((await connection.execute(query)).scalar_one())
