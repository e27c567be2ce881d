"""Which node holds which socket. All leases are judged by the database's clock, the one that nodes share."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Text, any_, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.charger import Route
from storage.errors import Conflict, NotFound
from storage.postgres.engine import reading, transaction
from storage.postgres.tables import charger_route

_RENEW = text("""
    WITH held AS (
        SELECT * FROM unnest(CAST(:charger_ids AS text[]), CAST(:epochs AS bigint[])) AS h (charger_id, epoch)
    ), renewed AS (
        UPDATE charger_route route SET lease_until = now() + CAST(:lease AS interval)
        FROM held
        WHERE route.charger_id = held.charger_id AND route.session_epoch = held.epoch
          AND route.node_id = :node_id AND route.boot_id = :boot_id AND route.lease_until IS NOT NULL
        RETURNING route.charger_id
    )
    SELECT charger_id FROM held WHERE charger_id NOT IN (SELECT charger_id FROM renewed)
""")

_GIVE_UP = text("""
    UPDATE charger_route SET lease_until = NULL
    WHERE charger_id IN (
        SELECT charger_id FROM charger_route WHERE lease_until < now() - CAST(:grace AS interval)
        ORDER BY charger_id LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")
# Also what was given up before and could not be recorded.
_UNHELD = text("""
    SELECT route.charger_id, route.session_epoch FROM charger_route route JOIN twin USING (charger_id)
    WHERE route.lease_until IS NULL AND twin.online ORDER BY route.charger_id LIMIT :limit
""")


class PostgresRouteStore:
    """One row per charger; the epoch in it only ever rises."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(
        self, charger_id: str, node_id: str, boot_id: str, dialect: str, lease: timedelta
    ) -> Route:
        """See ``storage.ports.RouteStore``. Raises NotFound for a charger that is not registered."""
        held = {
            "node_id": node_id,
            "boot_id": boot_id,
            "dialect": dialect,
            "lease_until": func.now() + literal(lease),
        }
        statement = insert(charger_route).values(charger_id=charger_id, session_epoch=1, **held)
        statement = statement.on_conflict_do_update(
            index_elements=["charger_id"],
            set_={**held, "session_epoch": charger_route.c.session_epoch + 1},
        )
        try:
            async with transaction(self._engine) as connection:
                row = (await connection.execute(statement.returning(charger_route))).one()
        except Conflict as error:
            raise NotFound("charger", charger_id, hint="Register it first.") from error
        return Route(charger_id, row.node_id, row.boot_id, row.session_epoch, row.lease_until, row.dialect)

    async def renew(
        self, node_id: str, boot_id: str, epochs: Sequence[tuple[str, int]], lease: timedelta
    ) -> Sequence[str]:
        """One statement for any number of sockets; also revives a lease that ran out but was not taken."""
        given = {
            "charger_ids": [charger_id for charger_id, _ in epochs],
            "epochs": [epoch for _, epoch in epochs],
            "node_id": node_id,
            "boot_id": boot_id,
            "lease": lease,
        }
        async with transaction(self._engine) as connection:
            return list((await connection.execute(_RENEW, given)).scalars())

    async def release(self, charger_id: str, session_epoch: int) -> bool:
        """The row stays, with its epoch; only the lease goes."""
        columns = charger_route.c
        statement = (
            update(charger_route)
            .where(columns.charger_id == charger_id, columns.session_epoch == session_epoch)
            .where(columns.lease_until.is_not(None))
            .values(lease_until=None)
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def resolve(self, charger_id: str) -> Route | None:
        """The live route, or None."""
        columns = charger_route.c
        query = select(charger_route).where(
            columns.charger_id == charger_id, columns.lease_until > func.now()
        )
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return Route(charger_id, row.node_id, row.boot_id, row.session_epoch, row.lease_until, row.dialect)

    async def live(self, charger_ids: Sequence[str]) -> frozenset[str]:
        """Those of them whose lease is good, in one look."""
        columns = charger_route.c
        query = select(columns.charger_id).where(
            columns.charger_id == any_(literal(list(charger_ids), ARRAY(Text))),
            columns.lease_until > func.now(),
        )
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def abandon(self, grace: timedelta, *, limit: int = 1000) -> Sequence[tuple[str, int]]:
        """See ``storage.ports.RouteStore``."""
        async with transaction(self._engine) as connection:
            await connection.execute(_GIVE_UP, {"grace": grace, "limit": limit})
            rows = await connection.execute(_UNHELD, {"limit": limit})
            return [(charger_id, session_epoch) for charger_id, session_epoch in rows]
