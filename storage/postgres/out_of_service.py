"""Which chargers we took out of service: written before they are told, removed once they are back (X3)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.charger import OutOfService
from storage.postgres.engine import reading
from storage.postgres.leases import ALIVE
from storage.postgres.prepared import Prepared
from storage.postgres.tables import charger_route, downtime, out_of_service, site_lease

_COLUMNS = out_of_service.c
_ITS = _COLUMNS.charger_id == bindparam("charger")
_NEW = insert(out_of_service)
# It returns the row that stands in the same statement, for as long as the newest update wants it to stay up.
_ADD = Prepared(
    _NEW.on_conflict_do_update(
        index_elements=["charger_id"],
        set_={"steady_seconds": func.coalesce(_NEW.excluded.steady_seconds, _COLUMNS.steady_seconds)},
    ).returning(out_of_service)
)
_GET = Prepared(select(out_of_service).where(_ITS))
_BACK = delete(out_of_service).where(_ITS).returning(_COLUMNS.charger_id, _COLUMNS.site_id).cte("back")
# No downtime of its own: when it came back, for the feeder that it comes back on (X4).
_REMOVE = Prepared(
    insert(downtime)
    .from_select(
        ["charger_id", "site_id", "kind", "began", "ended"],
        select(_BACK.c.charger_id, _BACK.c.site_id, literal("put_back"), func.now(), func.now()),
    )
    .returning(downtime.c.charger_id)
)


class PostgresOutOfServiceStore:
    """One row per charger that is out of service through us."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, row: OutOfService) -> OutOfService:
        """The first row stands, but for how long its charger has to stay up; returns the one that does."""
        stands = await _ADD.row(
            self._engine,
            charger_id=row.charger_id,
            site_id=row.site_id,
            before=list(row.before),
            since=row.since,
            cause=row.cause,
            steady_seconds=row.steady_seconds,
        )
        return _row(stands)

    async def get(self, charger_id: str) -> OutOfService | None:
        """None: whatever it reports, it is not our doing."""
        row = await _GET.row(self._engine, charger=charger_id)
        return _row(row) if row else None

    async def remove(self, charger_id: str) -> bool:
        """Whether there was one."""
        return await _REMOVE.row(self._engine, charger=charger_id) is not None

    async def stranded(self, *, limit: int = 100) -> Sequence[OutOfService]:
        """Connected, and nobody works on it; oldest first."""
        leased = exists().where(site_lease.c.charger_id == _COLUMNS.charger_id, ALIVE)
        connected = exists().where(
            charger_route.c.charger_id == _COLUMNS.charger_id, charger_route.c.lease_until > func.now()
        )
        query = select(out_of_service).where(~leased, connected).order_by(_COLUMNS.since).limit(limit)
        async with reading(self._engine) as connection:
            return [_row(row) for row in await connection.execute(query)]


def _row(row: Row[*tuple[Any, ...]]) -> OutOfService:
    before = tuple(row.before)
    return OutOfService(row.charger_id, row.site_id, before, row.since, row.cause, row.steady_seconds)
