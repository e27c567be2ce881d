"""Who holds an image that is not to be installed yet (R20)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.campaign import CampaignPhase, TargetPhase
from storage.parked import Parked, Parking
from storage.postgres.engine import reading, writing
from storage.postgres.execution_tables import parked_image
from storage.postgres.halts import not_halted
from storage.postgres.leases import ALIVE
from storage.postgres.prepared import Prepared
from storage.postgres.tables import campaign, campaign_target, charger, charger_route, site_lease
from storage.postgres.withdrawals import not_withdrawn
from storage.withdrawal import artifact_subject

_COLUMNS = parked_image.c
_NAMES = [column.name for column in parked_image.columns]
_REQUEST = bindparam("request", type_=_COLUMNS.request_id.type)
_FORGET = Prepared(
    delete(parked_image)
    .where(
        _COLUMNS.charger_id == bindparam("charger"),
        _COLUMNS.state != Parking.HASTY.value,
        or_(_REQUEST.is_(None), _COLUMNS.request_id == _REQUEST),
    )
    .returning(_COLUMNS.charger_id)
)


class PostgresParkedStore:
    """See ``storage.parked.ParkedStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def park(self, parked: Parked, while_in: CampaignPhase, subjects: Sequence[str] = ()) -> bool:
        """The answer to whether it may be sent, and the note that it is, are one statement."""
        target = campaign_target.c
        may = (
            select(*(literal(value, _COLUMNS[name].type) for name, value in _values(parked).items()))
            .select_from(campaign_target.join(campaign, campaign.c.campaign_id == target.campaign_id))
            .where(
                target.campaign_id == parked.campaign_id,
                target.wave == parked.wave,
                target.charger_id == parked.charger_id,
                target.phase != TargetPhase.DONE.value,
                target.recalled == "",
                or_(campaign.c.ends_at.is_(None), campaign.c.ends_at > parked.since),
                campaign.c.phase == while_in.value,
                not_halted(),
                not_withdrawn((artifact_subject(parked.artifact_id), *subjects)),
            )
        )
        statement = insert(parked_image).from_select(_NAMES, may)
        replaced = {name: statement.excluded[name] for name in _NAMES if name != "charger_id"}
        upsert = statement.on_conflict_do_update(index_elements=["charger_id"], set_=replaced)
        async with writing(self._engine) as connection:
            return (await connection.execute(upsert)).rowcount == 1

    async def get(self, charger_id: str) -> Parked | None:
        """None: nothing that we know of."""
        return (await self.of([charger_id])).get(charger_id)

    async def of(self, charger_ids: Sequence[str]) -> Mapping[str, Parked]:
        """Of those that hold one."""
        query = select(parked_image).where(_COLUMNS.charger_id.in_(charger_ids))
        async with reading(self._engine) as connection:
            return {row.charger_id: _row(row) for row in await connection.execute(query)}

    async def settle(self, charger_id: str, request_id: int, state: Parking) -> bool:
        """One statement."""
        mine = (_COLUMNS.charger_id == charger_id, _COLUMNS.request_id == request_id)
        statement = update(parked_image).where(*mine).values(state=state.value)
        async with writing(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def postpone(self, charger_id: str, request_id: int, until: datetime) -> None:
        """One statement."""
        mine = (_COLUMNS.charger_id == charger_id, _COLUMNS.request_id == request_id)
        async with writing(self._engine) as connection:
            await connection.execute(update(parked_image).where(*mine).values(since=until))

    async def forget(self, charger_id: str, request_id: int | None = None) -> bool:
        """One statement."""
        return await _FORGET.row(self._engine, charger=charger_id, request=request_id) is not None

    async def hasty_models(self) -> frozenset[tuple[str, str]]:
        """Few rows: as soon as one is known, its model is asked no more."""
        query = (
            select(charger.c.vendor, charger.c.model)
            .join(parked_image, _COLUMNS.charger_id == charger.c.charger_id)
            .where(_COLUMNS.state == Parking.HASTY.value)
            .distinct()
        )
        async with reading(self._engine) as connection:
            return frozenset((row.vendor, row.model) for row in await connection.execute(query))

    async def left_over(self, *, limit: int = 100) -> Sequence[Parked]:
        """The oldest first."""
        target = campaign_target.c
        done = exists().where(
            target.campaign_id == _COLUMNS.campaign_id,
            target.wave == _COLUMNS.wave,
            target.charger_id == _COLUMNS.charger_id,
            target.phase == TargetPhase.DONE.value,
        )
        leased = exists().where(site_lease.c.charger_id == _COLUMNS.charger_id, ALIVE)
        connected = exists().where(
            charger_route.c.charger_id == _COLUMNS.charger_id, charger_route.c.lease_until > func.now()
        )
        due = _COLUMNS.since <= func.now()
        query = select(parked_image).where(
            _COLUMNS.state != Parking.HASTY.value, due, done, connected, ~leased
        )
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(_COLUMNS.since).limit(limit))
            return [_row(row) for row in rows]


def _values(parked: Parked) -> dict[str, Any]:
    values = {name: getattr(parked, name) for name in _NAMES}
    return values | {"state": parked.state.value}


def _row(row: Row[*tuple[Any, ...]]) -> Parked:
    found = dict(row._mapping)  # noqa: SLF001 - the row's public mapping
    return Parked(**found | {"state": Parking(row.state)})
