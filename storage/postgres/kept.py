"""What chargers were before the updates that are under way (X9)."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.kept import Kept
from storage.postgres.engine import reading, writing
from storage.postgres.execution_tables import update_kept

_COLUMNS = update_kept.c


class PostgresKeptStore:
    """See ``storage.kept.KeptStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def keep(self, kept: Kept) -> None:
        """The first of a charger in a wave stands."""
        statement = insert(update_kept).values(
            campaign_id=kept.campaign_id,
            wave=kept.wave,
            charger_id=kept.charger_id,
            taken_at=kept.taken_at,
            values=dict(kept.values),
            profile=kept.profile,
            roots=list(kept.roots),
            local_list=kept.local_list,
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement.on_conflict_do_nothing())

    async def get(self, campaign_id: str, wave: int, charger_id: str) -> Kept | None:
        """None: nothing was known that could be compared."""
        query = select(update_kept).where(
            _COLUMNS.campaign_id == campaign_id, _COLUMNS.wave == wave, _COLUMNS.charger_id == charger_id
        )
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return Kept(**{**row, "roots": tuple(row["roots"])}) if row else None

    async def forget(self, campaign_id: str, wave: int, charger_id: str) -> None:
        """Idempotent."""
        statement = delete(update_kept).where(
            _COLUMNS.campaign_id == campaign_id, _COLUMNS.wave == wave, _COLUMNS.charger_id == charger_id
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement)
