"""Webhooks, and notices on their way to them. Who writes the notices: triggers, see migration 0028."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.errors import Conflict, NotFound
from storage.notice import (
    Delivery,
    DeliveryChange,
    DeliveryState,
    Notice,
    NoticeKind,
    Webhook,
)
from storage.postgres.engine import reading, transaction
from storage.postgres.notice_tables import notice, webhook, webhook_delivery
from storage.postgres.notifications import Notifications

CHANNEL = "notices"
_WAITS = webhook_delivery.c.state == DeliveryState.WAITING.value
_MINE = webhook_delivery.c.webhook_id == webhook.c.webhook_id
_WAITING = (
    select(func.count())
    .select_from(webhook_delivery)
    .where(_MINE, _WAITS)
    .correlate(webhook)
    .scalar_subquery()
)
_WEBHOOKS = select(webhook, _WAITING.label("waiting")).order_by(webhook.c.webhook_id)


class PostgresNoticeStore:
    """See ``storage.notice.NoticeStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._notifications = Notifications(engine, CHANNEL)

    async def add(self, added: Webhook) -> None:
        """Raises Conflict when the id is taken."""
        values = {
            "webhook_id": added.webhook_id,
            "url": added.url,
            "kinds": [kind.value for kind in added.kinds],
            "created_by": added.created_by,
            "created_at": added.created_at,
            "secret_number": added.secret_number,
            "failures": 0,
            "last_error": "",
        }
        async with transaction(self._engine) as connection:
            if await connection.scalar(select(exists().where(webhook.c.webhook_id == added.webhook_id))):
                raise Conflict(f"There is a webhook {added.webhook_id} already.", hint="Take another name.")
            await connection.execute(insert(webhook).values(**values))

    async def get(self, webhook_id: str) -> Webhook:
        """Raises NotFound."""
        async with reading(self._engine) as connection:
            return await _one(connection, webhook_id)

    async def find(self) -> Sequence[Webhook]:
        """All, by id."""
        async with reading(self._engine) as connection:
            return [_webhook(row) for row in await connection.execute(_WEBHOOKS)]

    async def remove(self, webhook_id: str) -> int:
        """With what waits for it."""
        of_it = webhook_delivery.c.webhook_id == webhook_id
        async with transaction(self._engine) as connection:
            known = await _one(connection, webhook_id)
            await connection.execute(delete(webhook).where(webhook.c.webhook_id == webhook_id))
            await connection.execute(delete(webhook_delivery).where(of_it))
        return known.waiting

    async def set_paused(self, webhook_id: str, by: str | None) -> Webhook:
        """Going on forgets the failures before."""
        fresh = {} if by else {"failures": 0, "retry_at": None, "last_error": ""}
        return await self._change(webhook_id, paused_by=by, **fresh)

    async def rotate(self, webhook_id: str, old_until: datetime) -> Webhook:
        """The next secret."""
        return await self._change(
            webhook_id, secret_number=webhook.c.secret_number + 1, old_secret_until=old_until
        )

    async def deliveries(self, webhook_id: str, *, limit: int = 50) -> Sequence[Delivery]:
        """The newest notices first."""
        query = _deliveries(webhook_id).order_by(notice.c.notice_id.desc()).limit(limit)
        async with reading(self._engine) as connection:
            await _one(connection, webhook_id)
            return [_delivery(row) for row in await connection.execute(query)]

    async def test(self, webhook_id: str, actor: str) -> int:
        """A notice to this webhook alone."""
        said = func.jsonb_build_object("webhook_id", webhook_id, "actor", actor)
        kind = NoticeKind.WEBHOOK_TESTED.value
        async with transaction(self._engine) as connection:
            await _one(connection, webhook_id)
            made = await connection.scalar(select(func.tell(kind, f"webhook/{webhook_id}", said, webhook_id)))
        return int(made or 0)

    async def retry(self, webhook_id: str) -> int:
        """What was given up waits again."""
        given_up = webhook_delivery.c.state == DeliveryState.GIVEN_UP.value
        again = update(webhook_delivery).where(webhook_delivery.c.webhook_id == webhook_id, given_up)
        again = again.values(state=DeliveryState.WAITING.value, attempts=0, ended_at=None)
        async with transaction(self._engine) as connection:
            await _one(connection, webhook_id)
            count = (await connection.execute(again)).rowcount
            await connection.execute(_update(webhook_id).values(failures=0, retry_at=None))
            await connection.execute(select(func.pg_notify(CHANNEL, "")))
        return int(count)

    async def hold_due(self, now: datetime, until: datetime, *, limit: int) -> Sequence[Webhook]:
        """Locked rows are passed over: another process is taking them."""
        due = (
            select(webhook.c.webhook_id)
            .where(
                webhook.c.paused_by.is_(None),
                _past(webhook.c.retry_at, now),
                _past(webhook.c.held_until, now),
                exists().where(_MINE, _WAITS),
            )
            .order_by(webhook.c.webhook_id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with transaction(self._engine) as connection:
            ids = list((await connection.execute(due)).scalars())
            held = update(webhook).where(webhook.c.webhook_id.in_(ids)).values(held_until=until)
            await connection.execute(held)
            rows = await connection.execute(_WEBHOOKS.where(webhook.c.webhook_id.in_(ids)))
            return [_webhook(row) for row in rows]

    async def next_deliveries(self, webhook_id: str, *, limit: int) -> Sequence[Delivery]:
        """What waits, oldest first."""
        query = _deliveries(webhook_id).where(_WAITS).order_by(notice.c.notice_id).limit(limit)
        async with reading(self._engine) as connection:
            return [_delivery(row) for row in await connection.execute(query)]

    async def record(self, change: DeliveryChange, hold_until: datetime) -> None:
        """One attempt, on the delivery and on its webhook."""
        over = change.state is not DeliveryState.WAITING
        attempt = {
            "state": change.state.value,
            "attempts": webhook_delivery.c.attempts + 1,
            "ended_at": change.at if over else None,
            "last_error": change.error,
        }
        of_it = (
            webhook_delivery.c.webhook_id == change.webhook_id,
            webhook_delivery.c.notice_id == change.notice_id,
        )
        on_webhook: dict[str, Any] = {
            "failures": webhook.c.failures + 1 if change.error else 0,
            "retry_at": change.retry_at,
            "last_error": change.error,
            "held_until": hold_until,
        }
        if change.gone:
            on_webhook["paused_by"] = "receiver"
        async with transaction(self._engine) as connection:
            await connection.execute(update(webhook_delivery).where(*of_it).values(**attempt))
            await connection.execute(_update(change.webhook_id).values(**on_webhook))

    async def release(self, webhook_id: str) -> None:
        """Give up the hold."""
        async with transaction(self._engine) as connection:
            await connection.execute(_update(webhook_id).values(held_until=None))

    async def forget(self, before: datetime) -> int:
        """Notices that are older and wait for nobody; also what waited for a webhook that is no more."""
        orphan = ~exists().where(_MINE)
        old = select(notice.c.notice_id).where(
            notice.c.at < before,
            ~exists().where(webhook_delivery.c.notice_id == notice.c.notice_id, _WAITS),
        )
        async with transaction(self._engine) as connection:
            await connection.execute(delete(webhook_delivery).where(orphan))
            ids = list((await connection.execute(old.limit(10_000))).scalars())
            await connection.execute(delete(webhook_delivery).where(webhook_delivery.c.notice_id.in_(ids)))
            await connection.execute(delete(notice).where(notice.c.notice_id.in_(ids)))
        return len(ids)

    def wake_ups(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Beats when a notice was committed."""
        return self._notifications.subscribe()

    async def _change(self, webhook_id: str, **values: Any) -> Webhook:
        async with transaction(self._engine) as connection:
            await connection.execute(_update(webhook_id).values(**values))
            await connection.execute(select(func.pg_notify(CHANNEL, "")))
            return await _one(connection, webhook_id)


def _update(webhook_id: str) -> Any:
    return update(webhook).where(webhook.c.webhook_id == webhook_id)


def _past(column: ColumnElement[Any], now: datetime) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= now)


def _deliveries(webhook_id: str) -> Any:
    columns = webhook_delivery.c
    return (
        select(notice, columns.state, columns.attempts, columns.ended_at, columns.last_error)
        .join(webhook_delivery, columns.notice_id == notice.c.notice_id)
        .where(columns.webhook_id == webhook_id)
    )


async def _one(connection: AsyncConnection, webhook_id: str) -> Webhook:
    row = (await connection.execute(_WEBHOOKS.where(webhook.c.webhook_id == webhook_id))).one_or_none()
    if row is None:
        raise NotFound("webhook", webhook_id, hint="See them: ampwave webhook list.")
    return _webhook(row)


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        webhook_id=row.webhook_id,
        url=row.url,
        kinds=tuple(NoticeKind(kind) for kind in row.kinds),
        created_by=row.created_by,
        created_at=row.created_at,
        secret_number=row.secret_number,
        old_secret_until=row.old_secret_until,
        paused_by=row.paused_by,
        failures=row.failures,
        retry_at=row.retry_at,
        last_error=row.last_error,
        waiting=row.waiting,
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        Notice(row.notice_id, NoticeKind(row.kind), row.subject, row.at, row.data),
        DeliveryState(row.state),
        row.attempts,
        row.ended_at,
        row.last_error,
    )
