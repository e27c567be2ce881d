"""Which load groups have no room just now: looked at before work is begun, held by the lease (F33)."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Numeric, Text, any_, cast, distinct, exists, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.charger import LeaseAnswer
from storage.postgres.leases import AWAY
from storage.postgres.selecting import one_of
from storage.postgres.tables import charger, twin_section
from storage.twin_schema import POWER

_DESIRED = twin_section.c.desired
_GROUP = _DESIRED["load_group"].astext
_Group = tuple[str, str]
"""Site and name."""


async def full_groups(connection: AsyncConnection, charger_ids: Sequence[str]) -> Mapping[str, str]:
    """Why each of these chargers has to wait for others of its load group; who is not named need not."""
    mine = AWAY.subquery()
    away = exists().where(mine.c.charger_id == charger.c.charger_id)
    query = select(charger.c.charger_id, charger.c.site_id, _GROUP.label("load_group"), away.label("away"))
    members = (await connection.execute(query.select_from(_KEPT).where(*_GROUPED, one_of(charger_ids)))).all()
    if not members:
        return {}
    used = await _used(connection, {(row.site_id, row.load_group) for row in members})
    found = {}
    for row in members:
        down, most = used[row.site_id, row.load_group]
        others = down - row.away
        if most is not None and others >= most:
            answer = LeaseAnswer(granted=False, down=others, max_down=max(0, most), group=row.load_group)
            found[row.charger_id] = answer.why_not
    return found


_KEPT = twin_section.join(charger, charger.c.charger_id == twin_section.c.charger_id)
_GROUPED = (twin_section.c.name == POWER, _GROUP.is_not(None))


async def _used(connection: AsyncConnection, groups: set[_Group]) -> dict[_Group, tuple[int, int | None]]:
    """(away, bound) of each group, over all its members."""
    away = AWAY.subquery()
    down = func.count(distinct(away.c.charger_id))
    most = func.floor(func.min(cast(_DESIRED["group_max_down"].astext, Numeric)))
    sites, names = (sorted(each) for each in (set(part) for part in zip(*groups, strict=True)))
    query = (
        select(charger.c.site_id, _GROUP.label("load_group"), down.label("down"), most.label("most"))
        .select_from(_KEPT.outerjoin(away, away.c.charger_id == charger.c.charger_id))
        .where(
            *_GROUPED,
            charger.c.site_id == any_(cast(sites, ARRAY(Text))),
            any_(cast(names, ARRAY(Text))) == _GROUP,
        )
        .group_by(charger.c.site_id, _GROUP)
    )
    rows = await connection.execute(query)
    return {
        (row.site_id, row.load_group): (row.down, None if row.most is None else int(row.most)) for row in rows
    }
