"""What chargers were before the updates that are under way (X9)."""

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.kept import Kept
from storage.postgres.execution_tables import update_kept
from storage.postgres.prepared import Prepared

_COLUMNS = update_kept.c
_ITS = (
    _COLUMNS.campaign_id == bindparam("campaign"),
    _COLUMNS.wave == bindparam("of_wave"),
    _COLUMNS.charger_id == bindparam("charger"),
)
_KEEP = Prepared(insert(update_kept).on_conflict_do_nothing())
_GET = Prepared(select(update_kept).where(*_ITS))
_FORGET = Prepared(delete(update_kept).where(*_ITS))


class PostgresKeptStore:
    """See ``storage.kept.KeptStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def keep(self, kept: Kept) -> None:
        """The first of a charger in a wave stands."""
        await _KEEP.rows(
            self._engine,
            campaign_id=kept.campaign_id,
            wave=kept.wave,
            charger_id=kept.charger_id,
            taken_at=kept.taken_at,
            values=dict(kept.values),
            profile=kept.profile,
            roots=list(kept.roots),
            local_list=kept.local_list,
        )

    async def get(self, campaign_id: str, wave: int, charger_id: str) -> Kept | None:
        """None: nothing was known that could be compared."""
        row = await _GET.row(self._engine, campaign=campaign_id, of_wave=wave, charger=charger_id)
        return Kept(**row._asdict() | {"roots": tuple(row.roots)}) if row else None

    async def forget(self, campaign_id: str, wave: int, charger_id: str) -> None:
        """Idempotent."""
        await _FORGET.rows(self._engine, campaign=campaign_id, of_wave=wave, charger=charger_id)
