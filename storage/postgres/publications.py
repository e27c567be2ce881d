"""What local controllers offer to the chargers behind them (OCPP 2.0.1 L03)."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, exists, func, not_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.campaign import TargetPhase
from storage.postgres.engine import reading, transaction, writing
from storage.postgres.execution_tables import local_image
from storage.postgres.prepared import Prepared
from storage.postgres.tables import campaign_target
from storage.publication import LocalImage, Publication

_COLUMNS = local_image.c
_GET = Prepared(
    select(local_image).where(
        _COLUMNS.campaign_id == bindparam("campaign"),
        _COLUMNS.wave == bindparam("of_wave"),
        _COLUMNS.site_id == bindparam("site"),
    )
)
_STANDING = (Publication.ASKED.value, Publication.PUBLISHED.value)


class PostgresPublicationStore:
    """See ``storage.publication.PublicationStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(self, image: LocalImage) -> LocalImage:
        """The first one wins; whoever comes later gets what it wrote."""
        statement = insert(local_image).values(_values(image)).on_conflict_do_nothing()
        async with transaction(self._engine) as connection:
            await connection.execute(statement)
            return _row((await connection.execute(select(local_image).where(_is(image)))).one())

    async def get(self, campaign_id: str, wave: int, site_id: str) -> LocalImage | None:
        """By its key."""
        row = await _GET.row(self._engine, campaign=campaign_id, of_wave=wave, site=site_id)
        return _row(row) if row else None

    async def of_wave(self, campaign_id: str, wave: int, site_ids: Collection[str]) -> Sequence[LocalImage]:
        """Of these sites."""
        query = select(local_image).where(
            _COLUMNS.campaign_id == campaign_id, _COLUMNS.wave == wave, _COLUMNS.site_id.in_(site_ids)
        )
        async with reading(self._engine) as connection:
            return [_row(row) for row in await connection.execute(query.order_by(_COLUMNS.site_id))]

    async def settle(
        self, image: LocalImage, state: Publication, reason: str, locations: tuple[str, ...]
    ) -> None:
        """One statement."""
        told = {"state": state.value, "reason": reason, "locations": list(locations)}
        async with writing(self._engine) as connection:
            await connection.execute(update(local_image).where(_is(image)).values(told))

    async def offered_elsewhere(self, image: LocalImage) -> bool:
        """A controller knows an image by its checksum alone (L04.FR.01)."""
        other = exists().where(
            _COLUMNS.controller_id == image.controller_id,
            _COLUMNS.checksum == image.checksum,
            _COLUMNS.state.in_(_STANDING),
            not_(_is(image)),
        )
        async with reading(self._engine) as connection:
            return bool((await connection.execute(select(other))).scalar_one())

    async def open_targets(self, campaign_id: str, wave: int, site_id: str) -> int:
        """By the site that each was planned with."""
        target = campaign_target.c
        query = select(func.count()).where(
            target.campaign_id == campaign_id,
            target.wave == wave,
            target.site_id == site_id,
            target.phase != TargetPhase.DONE.value,
        )
        async with reading(self._engine) as connection:
            return int((await connection.execute(query)).scalar_one())


def _is(image: LocalImage) -> ColumnElement[bool]:
    return and_(
        _COLUMNS.campaign_id == image.campaign_id,
        _COLUMNS.wave == image.wave,
        _COLUMNS.site_id == image.site_id,
    )


def _values(image: LocalImage) -> dict[str, Any]:
    values = {column.name: getattr(image, column.name) for column in local_image.columns}
    return values | {"state": image.state.value, "locations": list(image.locations)}


def _row(row: Row[*tuple[Any, ...]]) -> LocalImage:
    found = {column.name: getattr(row, column.name) for column in local_image.columns}
    told = {"state": Publication(row.state), "locations": tuple(row.locations)}
    return LocalImage(**found | told)
