"""Which node holds which socket. All leases are judged by the database's clock, the one that nodes share."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Text, any_, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.charger import Route
from storage.errors import NotFound
from storage.listening import CLOSELY, KEPT, Listened, Span
from storage.postgres.engine import driver_alone, driver_transaction, reading, transaction
from storage.postgres.grouped import Grouped
from storage.postgres.tables import charger_route

# Every statement locks routes by identity, so that none of them waits for another in a circle.

_RENEW = """
WITH held AS (
    SELECT * FROM unnest($1::text[], $2::bigint[]) AS h (charger_id, epoch)
), ours AS (
    SELECT route.charger_id FROM charger_route route JOIN held USING (charger_id)
    WHERE route.session_epoch = held.epoch AND route.node_id = $3 AND route.boot_id = $4
      AND route.lease_until IS NOT NULL
    ORDER BY route.charger_id FOR NO KEY UPDATE OF route
), renewed AS (
    UPDATE charger_route route SET lease_until = now() + $5::interval
    FROM ours WHERE route.charger_id = ours.charger_id
    RETURNING route.charger_id
)
SELECT charger_id FROM held WHERE charger_id NOT IN (SELECT charger_id FROM renewed)
"""

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

_CLAIM = """
INSERT INTO charger_route (charger_id, session_epoch, node_id, boot_id, dialect, lease_until)
SELECT charger_id, 1, node_id, boot_id, dialect, now() + lease
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::interval[])
  AS given (charger_id, node_id, boot_id, dialect, lease)
WHERE EXISTS (SELECT FROM charger WHERE charger.charger_id = given.charger_id)
ORDER BY charger_id
ON CONFLICT (charger_id) DO UPDATE
SET session_epoch = charger_route.session_epoch + 1, node_id = excluded.node_id, boot_id = excluded.boot_id,
    dialect = excluded.dialect, lease_until = excluded.lease_until
RETURNING charger_id, node_id, boot_id, session_epoch, lease_until, dialect
"""

_RELEASE = """
WITH held AS (
    SELECT charger_id, session_epoch FROM charger_route
    JOIN unnest($1::text[], $2::bigint[]) AS given (charger_id, session_epoch)
      USING (charger_id, session_epoch)
    WHERE lease_until IS NOT NULL
    ORDER BY charger_id FOR NO KEY UPDATE OF charger_route
)
UPDATE charger_route route SET lease_until = NULL FROM held
WHERE route.charger_id = held.charger_id AND route.session_epoch = held.session_epoch
RETURNING route.charger_id, route.session_epoch
"""

# What is older than anybody may ask for goes when a span begins: that is rare, and somebody is here then.
_MARK = """
WITH goes_on AS (
    UPDATE listening SET until = now()
    WHERE node_id = $1 AND boot_id = $2 AND until > now() - $3::interval
    RETURNING 1
), begins AS (
    INSERT INTO listening (node_id, boot_id, began_at, until)
    SELECT $1, $2, now(), now() WHERE NOT EXISTS (SELECT FROM goes_on)
    ON CONFLICT DO NOTHING RETURNING 1
)
DELETE FROM listening WHERE until < now() - $4::interval AND EXISTS (SELECT FROM begins)
"""

_LISTENED = """
SELECT now() AS now, (SELECT min(began_at) FROM listening) AS first, span.began_at, span.until
FROM (VALUES (1)) AS once (one) LEFT JOIN listening span ON span.until >= $1
ORDER BY span.began_at
"""


class _Claim(NamedTuple):
    charger_id: str
    node_id: str
    boot_id: str
    dialect: str
    lease: timedelta
    turn: int
    """No two claims are the same, not even of one charger by one node."""


class PostgresRouteStore:
    """One row per charger; the epoch in it only ever rises."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._turns = itertools.count()
        self._claims: Grouped[_Claim, Route] = Grouped(self._claim_all)
        self._releases: Grouped[tuple[str, int], bool] = Grouped(self._release_all)

    async def claim(
        self, charger_id: str, node_id: str, boot_id: str, dialect: str, lease: timedelta
    ) -> Route:
        """See ``storage.ports.RouteStore``. Raises NotFound for a charger that is not registered."""
        route = await self._claims.ask(
            _Claim(charger_id, node_id, boot_id, dialect, lease, next(self._turns))
        )
        if route is None:
            raise NotFound("charger", charger_id, hint="Register it first.")
        return route

    async def _claim_all(self, claims: Sequence[_Claim]) -> dict[_Claim, Route]:
        """One statement, or as many as a charger is among them: every claim has its own epoch."""
        routes: dict[_Claim, Route] = {}
        left = list(claims)
        once = len({claim.charger_id for claim in claims}) == len(claims)
        opened = driver_alone(self._engine) if once else driver_transaction(self._engine, "BEGIN")
        async with opened as connection:
            while left:
                first = {claim.charger_id: claim for claim in reversed(left)}
                columns = zip(*(claim[:5] for claim in first.values()), strict=True)
                for row in await connection.fetch(_CLAIM, *map(list, columns)):
                    routes[first[row["charger_id"]]] = Route(*row)
                left = [claim for claim in left if first[claim.charger_id] is not claim]
        return routes

    async def renew(
        self, node_id: str, boot_id: str, epochs: Sequence[tuple[str, int]], lease: timedelta
    ) -> Sequence[str]:
        """One statement for any number of sockets; also revives a lease that ran out but was not taken."""
        held = [list(column) for column in zip(*epochs, strict=True)] or [[], []]
        async with driver_alone(self._engine) as driver:
            rows = await driver.fetch(_RENEW, *held, node_id, boot_id, lease)
        return [row["charger_id"] for row in rows]

    async def release(self, charger_id: str, session_epoch: int) -> bool:
        """The row stays, with its epoch; only the lease goes."""
        return bool(await self._releases.ask((charger_id, session_epoch)))

    async def _release_all(self, held: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        async with driver_alone(self._engine) as connection:
            rows = await connection.fetch(_RELEASE, [name for name, _ in held], [epoch for _, epoch in held])
        return {(row["charger_id"], row["session_epoch"]): True for row in rows}

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

    async def resolve_all(self, charger_ids: Sequence[str]) -> dict[str, Route]:
        """See ``storage.ports.RouteStore``."""
        columns = charger_route.c
        query = select(
            columns.charger_id,
            columns.node_id,
            columns.boot_id,
            columns.session_epoch,
            columns.lease_until,
            columns.dialect,
        ).where(
            columns.charger_id == any_(literal(list(charger_ids), ARRAY(Text))),
            columns.lease_until > func.now(),
        )
        async with reading(self._engine) as connection:
            return {row.charger_id: Route(*row) for row in await connection.execute(query)}

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

    async def mark_listening(self, node_id: str, boot_id: str) -> None:
        """See ``storage.ports.RouteStore``; one statement, by the database's clock."""
        async with driver_alone(self._engine) as driver:
            await driver.execute(_MARK, node_id, boot_id, CLOSELY, KEPT)

    async def listened(self, since: datetime) -> Listened:
        """See ``storage.ports.RouteStore``."""
        async with driver_alone(self._engine) as driver:
            rows = await driver.fetch(_LISTENED, since)
        spans = tuple(Span(row["began_at"], row["until"]) for row in rows if row["until"] is not None)
        return Listened(rows[0]["now"], rows[0]["first"], spans)
