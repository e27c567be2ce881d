"""Signals on their way out: per charger one at a time and in order, however many relays there are."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.ports import OutboxSignal
from storage.postgres.engine import reading, translated
from storage.postgres.events import stored_event
from storage.postgres.notifications import Notifications
from storage.postgres.statements import OUTBOX_CHANNEL
from storage.postgres.tables import event, outbox

_EARLIER = outbox.alias("earlier")
_OLDEST_OF_ITS_CHARGER = ~(
    select(_EARLIER.c.outbox_id)
    .where(_EARLIER.c.charger_id == outbox.c.charger_id, _EARLIER.c.outbox_id < outbox.c.outbox_id)
    .exists()
)


class PostgresOutboxStore:
    """The relay's side of the outbox; ``PostgresIngestStore`` fills it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._notifications = Notifications(engine, OUTBOX_CHANNEL)

    @asynccontextmanager
    async def claim(self, limit: int) -> AsyncIterator[Sequence[OutboxSignal]]:
        """See ``storage.ports.OutboxStore``. An exception inside gives the rows back, untouched.

        A row is taken only while no older row of its charger exists, so a charger whose oldest row
        another relay holds has nothing to offer here.
        """
        with translated():
            connection = await self._engine.connect()
        try:
            with translated():
                signals = await _lock_oldest(connection, limit)
            yield signals
            with translated():
                await _remove(connection, signals)
        finally:
            await connection.close()

    async def backlog(self) -> int:
        """How many signals wait."""
        async with reading(self._engine) as connection:
            return (await connection.execute(select(func.count()).select_from(outbox))).scalar_one()

    def wake_ups(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Beats at once, then whenever a signal was committed, and every few seconds regardless."""
        return self._notifications.subscribe()


async def _lock_oldest(connection: AsyncConnection, limit: int) -> list[OutboxSignal]:
    query = (
        select(
            event.c.sequence,
            event.c.charger_id,
            event.c.kind,
            event.c.body,
            event.c.observed_at,
            event.c.received_at,
            outbox.c.outbox_id,
            outbox.c.workflow_id,
            outbox.c.node_id,
            outbox.c.boot_id,
            outbox.c.session_epoch,
        )
        .join(event, event.c.sequence == outbox.c.sequence)
        .where(_OLDEST_OF_ITS_CHARGER)
        .order_by(outbox.c.outbox_id)
        .limit(limit)
        .with_for_update(of=outbox, skip_locked=True)
    )
    return [
        OutboxSignal(
            outbox_id=row.outbox_id,
            charger_id=row.charger_id,
            workflow_id=row.workflow_id,
            event=stored_event(row),
            node_id=row.node_id,
            boot_id=row.boot_id,
            session_epoch=row.session_epoch,
        )
        for row in await connection.execute(query)
    ]


async def _remove(connection: AsyncConnection, signals: Sequence[OutboxSignal]) -> None:
    if signals:
        sent = [signal.outbox_id for signal in signals]
        await connection.execute(delete(outbox).where(outbox.c.outbox_id.in_(sent)))
    await connection.commit()
