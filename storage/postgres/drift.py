"""Which twins are to be judged for drift, and the drifts that were found."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.codec import decode_twin, to_json
from storage.desired import DesiredSection
from storage.drift import Drift, DriftFacts, DriftState
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.desired import DESIRED_COLUMNS, desired_section
from storage.postgres.engine import reading, transaction
from storage.postgres.tables import charger, charger_route, drift, drift_judged, twin, twin_section
from storage.trust import BASELINE
from storage.twin import Lifecycle
from storage.twin_schema import Severity

_COLUMNS = drift.c
_OF_DESIRE = _COLUMNS.desired_version > BASELINE
"""What contradicts our own records is judged elsewhere (``storage.postgres.trust``)."""
_LIVE = charger_route.c.lease_until > func.now()


class PostgresDriftStore:
    """See ``storage.twin_ports.DriftStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def drift_facts(self, *, limit: int = 500) -> Sequence[DriftFacts]:
        """Chargers whose sides changed since they were judged, or whose drift may have come of age."""
        async with reading(self._engine) as connection:
            ids: list[str] = list((await connection.execute(_due(limit))).scalars())
            if not ids:
                return []
            sections, desired = await _sections(connection, ids)
            known = await _known(connection, ids)
            rows = await connection.execute(
                select(twin.c.charger_id, twin.c.revision, _LIVE.label("connected"))
                .outerjoin(charger_route, charger_route.c.charger_id == twin.c.charger_id)
                .where(twin.c.charger_id.in_(ids))
            )
            return [
                DriftFacts(
                    decode_twin(row.charger_id, row.revision, sections[row.charger_id]),
                    tuple(desired[row.charger_id]),
                    tuple(known[row.charger_id]),
                    bool(row.connected),
                )
                for row in rows
            ]

    async def note_drift(self, facts: DriftFacts, drifts: Sequence[Drift], at: datetime) -> Sequence[Drift]:
        """Write what was judged. Returns the drifts that became open or closed by this very write."""
        charger_id = facts.twin.charger_id
        async with transaction(self._engine) as connection:
            written = [(each, await _put(connection, each)) for each in drifts]
            judged = insert(drift_judged).values(
                charger_id=charger_id, revision=facts.twin.revision, judged_at=at
            )
            await connection.execute(
                judged.on_conflict_do_update(
                    index_elements=["charger_id"],
                    set_={"revision": judged.excluded.revision, "judged_at": judged.excluded.judged_at},
                )
            )
        return [each for each, moved in written if moved and each.state is not DriftState.PENDING]

    async def drifts(
        self,
        *,
        charger_id: str | None = None,
        states: Sequence[DriftState] = (DriftState.OPEN,),
        severity: Severity | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Drift]:
        """Newest first."""
        query = select(drift).where(_COLUMNS.state.in_([state.value for state in states]))
        if charger_id is not None:
            query = query.where(_COLUMNS.charger_id == charger_id)
        if severity is not None:
            query = query.where(_COLUMNS.severity == severity.value)
        if cursor is not None:
            query = query.where(_COLUMNS.drift_id < cursors.number(cursor))
        query = query.order_by(_COLUMNS.drift_id.desc()).limit(limit + 1)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return cursors.page(rows, limit, _drift, lambda row: [str(row.drift_id)])


def _due(limit: int) -> Select[Any]:
    changed = or_(
        drift_judged.c.charger_id.is_(None),
        twin_section.c.reported_version > drift_judged.c.revision,
        twin_section.c.desired_version > drift_judged.c.revision,
    )
    sides = (
        select(twin_section.c.charger_id)
        .join(charger, charger.c.charger_id == twin_section.c.charger_id)
        .outerjoin(drift_judged, drift_judged.c.charger_id == twin_section.c.charger_id)
        .where(twin_section.c.desired.is_not(None), changed, charger.c.lifecycle != Lifecycle.RETIRED.value)
    )
    pending = select(_COLUMNS.charger_id).where(_COLUMNS.state == DriftState.PENDING.value)
    due = sides.union(pending).subquery().c.charger_id
    # Longest not judged first: a drift of a charger that is away stays pending, and must starve nobody.
    query = select(due).outerjoin(drift_judged, drift_judged.c.charger_id == due)
    return query.order_by(drift_judged.c.judged_at.nulls_first(), due).limit(limit)


async def _sections(
    connection: AsyncConnection, ids: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, list[DesiredSection]]]:
    columns = (twin_section.c.charger_id, twin_section.c.reported, *DESIRED_COLUMNS)
    query = select(*columns).where(twin_section.c.charger_id.in_(ids)).order_by(twin_section.c.name)
    reported: dict[str, dict[str, Any]] = defaultdict(dict)
    desired: dict[str, list[DesiredSection]] = defaultdict(list)
    for row in await connection.execute(query):
        reported[row.charger_id][row.name] = row.reported
        if row.desired is not None:
            desired[row.charger_id].append(desired_section(row.charger_id, row.name, row))
    return reported, desired


async def _known(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, list[Drift]]:
    query = select(drift).where(
        _COLUMNS.charger_id.in_(ids), _COLUMNS.state != DriftState.CLOSED.value, _OF_DESIRE
    )
    known: dict[str, list[Drift]] = defaultdict(list)
    for row in await connection.execute(query):
        known[row.charger_id].append(_drift(row))
    return known


async def _put(connection: AsyncConnection, given: Drift) -> bool:
    """Write one; whether its state in the store moved by this."""
    alive = and_(
        _COLUMNS.charger_id == given.charger_id,
        _COLUMNS.path == given.path,
        _COLUMNS.state != DriftState.CLOSED.value,
        _OF_DESIRE,
    )
    values = _values(given)
    if given.drift_id is None:
        statement = insert(drift).values(charger_id=given.charger_id, path=given.path, **values)
        added = await connection.execute(statement.on_conflict_do_nothing())
        return added.rowcount == 1
    same_state = select(exists().where(alive, _COLUMNS.state == given.state.value))
    unmoved: bool = (await connection.execute(same_state)).scalar_one()
    changed = await connection.execute(update(drift).where(alive).values(**values))
    return changed.rowcount == 1 and not unmoved


def _values(given: Drift) -> dict[str, Any]:
    return {
        "severity": given.severity.value,
        "desired": to_json(given.desired),
        "reported": to_json(given.reported),
        "desired_version": given.desired_version,
        "state": given.state.value,
        "first_seen": given.first_seen,
        "judged_at": given.judged_at,
        "differing_s": given.differing_s,
        "opened_at": given.opened_at,
        "closed_at": given.closed_at,
        "suspicion": given.suspicion,
        "reason": given.reason,
    }


def _drift(row: Row[*tuple[Any, ...]]) -> Drift:
    return Drift(
        charger_id=row.charger_id,
        path=row.path,
        severity=Severity(row.severity),
        desired=row.desired,
        reported=row.reported,
        desired_version=row.desired_version,
        state=DriftState(row.state),
        first_seen=row.first_seen,
        judged_at=row.judged_at,
        differing_s=row.differing_s,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        suspicion=row.suspicion,
        reason=row.reason,
        drift_id=row.drift_id,
    )
