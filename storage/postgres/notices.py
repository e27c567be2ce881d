"""Webhooks, and notices on their way to them. Triggers write the notices: migrations 0028 and 0077."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Row,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
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
from storage.postgres.columns import Time
from storage.postgres.engine import reading, transaction
from storage.postgres.notice_tables import notice, webhook, webhook_delivery
from storage.postgres.prepared import Prepared


def _is(state: DeliveryState, delivery: Any = webhook_delivery) -> ColumnElement[bool]:
    """Written out and not a parameter: a plan that is kept could not use the partial indexes then."""
    return cast("ColumnElement[bool]", delivery.c.state == literal_column(f"'{state.value}'"))


_WAITS = _is(DeliveryState.WAITING)
_GIVEN_UP = _is(DeliveryState.GIVEN_UP)
_MINE = webhook_delivery.c.webhook_id == webhook.c.webhook_id
_OTHER = webhook_delivery.alias("other")
"""Another delivery of the same webhook and subject."""
_FELLOWS = (
    _OTHER.c.webhook_id == webhook_delivery.c.webhook_id,
    _OTHER.c.subject == webhook_delivery.c.subject,
    _is(DeliveryState.WAITING, _OTHER),
)


def _count(*conditions: ColumnElement[bool]) -> Any:
    found = select(func.count()).select_from(webhook_delivery).where(_MINE, _WAITS, *conditions)
    return found.correlate(webhook).scalar_subquery()


_WEBHOOKS = select(
    webhook, _count().label("waiting"), _count(webhook_delivery.c.attempts > 0).label("held_up")
).order_by(webhook.c.webhook_id)


def _any(found: Select[Any], of: FromClause) -> ColumnElement[bool]:
    """Whether there is one; looked for only where the rest is so, and only until one is found."""
    return found.correlate(of).limit(literal_column("1")).scalar_subquery().is_not(None)


def _held_up(now: Any) -> ColumnElement[bool]:
    """Whether a notice of the same subject is tried again later. A scalar: as a join all would be read."""
    found = select(_OTHER.c.notice_id).where(*_FELLOWS, _OTHER.c.retry_at > now)
    return _any(found, webhook_delivery)


def _past(column: ColumnElement[Any], now: Any) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= now)


def _hold_due() -> Prepared:
    """One statement, prepared, for it is asked several times a second.

    In no order: by name, twenty that always have something due would keep the twenty-first waiting for ever.
    """
    mine, of, now = webhook.alias("candidate"), webhook_delivery.c.webhook_id, bindparam("now", type_=Time)
    something = select(of).where(of == mine.c.webhook_id, _WAITS, ~_held_up(now))
    due = (
        select(mine.c.webhook_id)
        .where(
            mine.c.paused_by.is_(None),
            _past(mine.c.retry_at, now),
            _past(mine.c.held_until, now),
            _any(something, mine),
        )
        .order_by(func.random())
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    held = update(webhook).where(webhook.c.webhook_id == due.c.webhook_id)
    return Prepared(held.values(held_until=bindparam("until", type_=Time)).returning(webhook))


_HOLD_DUE = _hold_due()


class PostgresNoticeStore:
    """See ``storage.notice.NoticeStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

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
        if by:
            return await self._change(webhook_id, paused_by=by)
        async with transaction(self._engine) as connection:
            await _make_due(connection, webhook_id)
            await connection.execute(_update(webhook_id).values(paused_by=None, last_error=""))
            return await _one(connection, webhook_id)

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
        again = update(webhook_delivery).where(webhook_delivery.c.webhook_id == webhook_id, _GIVEN_UP)
        again = again.values(state=DeliveryState.WAITING.value, attempts=0, ended_at=None)
        async with transaction(self._engine) as connection:
            await _one(connection, webhook_id)
            await _make_due(connection, webhook_id)
            return (await connection.execute(again)).rowcount

    async def hold_due(self, now: datetime, until: datetime, *, limit: int) -> Sequence[Webhook]:
        """Locked rows are passed over: another process takes them."""
        found = await _HOLD_DUE.rows(self._engine, now=now, until=until, most=limit)
        return [_webhook(row) for row in found]

    async def line(self, webhook_id: str, now: datetime, *, limit: int) -> Sequence[Delivery]:
        """Asked twice: sorted by urgency at once, all that waits would have to be read each time."""
        query = _deliveries(webhook_id).where(_WAITS, ~_held_up(now)).order_by(notice.c.notice_id)
        urgent = select(_OTHER.c.subject).where(
            _OTHER.c.webhook_id == webhook_id, _is(DeliveryState.WAITING, _OTHER), _OTHER.c.urgent
        )
        first = query.where(webhook_delivery.c.subject.in_(urgent))
        async with reading(self._engine) as connection:
            rows = list(await connection.execute(first.limit(limit)))
            if len(rows) < limit:
                rows += await connection.execute(query.limit(limit))
        # Whoever is in both keeps the first place.
        return list({row.notice_id: _delivery(row) for row in rows}.values())[:limit]

    async def in_trouble(self, webhook_id: str, attempts: int) -> bool:
        """Whether one was given up, or waits after so many attempts."""
        of_it = webhook_delivery.c.webhook_id == webhook_id
        stuck = exists().where(of_it, _WAITS, webhook_delivery.c.attempts >= attempts)
        async with reading(self._engine) as connection:
            return bool(await connection.scalar(select(or_(exists().where(of_it, _GIVEN_UP), stuck))))

    async def record(self, change: DeliveryChange, hold_until: datetime) -> None:
        """One attempt. The webhook's row comes first, here and in ``retry``: so they wait for each other."""
        on_webhook: dict[str, Any] = {
            "failures": change.failures,
            "retry_at": change.pause_until,
            "last_error": change.error,
            "held_until": hold_until,
        }
        if change.gone:
            on_webhook["paused_by"] = "receiver"
        async with transaction(self._engine) as connection:
            await connection.execute(_update(change.webhook_id).values(**on_webhook))
            await connection.execute(_attempt(change))
            if change.back:
                await connection.execute(_all_due(change.webhook_id))
            if change.lost_before is not None:
                await connection.execute(_lose(change, change.lost_before))

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

    async def _change(self, webhook_id: str, **values: Any) -> Webhook:
        async with transaction(self._engine) as connection:
            await connection.execute(_update(webhook_id).values(**values))
            return await _one(connection, webhook_id)


def _update(webhook_id: str) -> Any:
    return update(webhook).where(webhook.c.webhook_id == webhook_id)


async def _make_due(connection: AsyncConnection, webhook_id: str) -> None:
    """It is tried at once, with everything."""
    await connection.execute(_update(webhook_id).values(failures=0, retry_at=None))
    await connection.execute(_all_due(webhook_id))


def _all_due(webhook_id: str) -> Any:
    late = (webhook_delivery.c.webhook_id == webhook_id, _WAITS, webhook_delivery.c.retry_at.is_not(None))
    return update(webhook_delivery).where(*late).values(retry_at=None)


def _attempt(change: DeliveryChange) -> Any:
    of_it = [
        webhook_delivery.c.webhook_id == change.webhook_id,
        webhook_delivery.c.notice_id == change.notice_id,
    ]
    if change.state is not DeliveryState.DELIVERED:
        # Another herald may have delivered it when this one's hold had run out: then it is delivered.
        of_it.append(_WAITS)
    return (
        update(webhook_delivery)
        .where(*of_it)
        .values(
            state=change.state.value,
            attempts=webhook_delivery.c.attempts + 1,
            ended_at=None if change.state is DeliveryState.WAITING else change.at,
            last_error=change.error,
            retry_at=change.retry_at,
        )
    )


def _lose(change: DeliveryChange, before: datetime) -> Any:
    old = (
        webhook_delivery.c.webhook_id == change.webhook_id,
        _WAITS,
        webhook_delivery.c.notice_id == notice.c.notice_id,
        notice.c.at < before,
    )
    lost = {"state": DeliveryState.GIVEN_UP.value, "ended_at": change.at, "last_error": change.error}
    return update(webhook_delivery).where(*old).values(**lost, retry_at=None)


def _deliveries(webhook_id: str) -> Select[Any]:
    columns = webhook_delivery.c
    return (
        select(
            notice, columns.state, columns.attempts, columns.ended_at, columns.last_error, columns.retry_at
        )
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
        waiting=getattr(row, "waiting", 0),
        held_up=getattr(row, "held_up", 0),
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        Notice(row.notice_id, NoticeKind(row.kind), row.subject, row.at, row.data),
        DeliveryState(row.state),
        row.attempts,
        row.ended_at,
        row.last_error,
        row.retry_at,
    )
