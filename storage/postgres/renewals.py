"""Renewals of many chargers; every charger's place is here, so a crash loses none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, cast, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.errors import NotFound
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.certificate_tables import renewal, renewal_target
from storage.postgres.engine import reading, transaction
from storage.postgres.leases import ALIVE
from storage.postgres.tables import charger_route, site_lease
from storage.renewal import (
    FINAL,
    TRIED_IN_VAIN,
    FleetWork,
    Renewal,
    RenewalOutcome,
    RenewalPhase,
    RenewalTarget,
    StandingStill,
    WaveCounts,
    plan_of,
    wave_sizes,
)

_R, _T = renewal.c, renewal_target.c
_FINAL = [phase.value for phase in FINAL]
_IN_VAIN = [outcome.value for outcome in TRIED_IN_VAIN]
_OPEN = _T.outcome.is_(None)
_STILL = [RenewalPhase.PAUSED.value, RenewalPhase.HELD.value]
_WORK = func.coalesce(_R.plan["work"].astext, FleetWork.RENEW.value)
_RENEWS = func.coalesce(_R.plan["work"].astext, FleetWork.RENEW.value) == FleetWork.RENEW.value
_FREE = ~exists(select(1).where(site_lease.c.charger_id == _T.charger_id, ALIVE))
OPEN = "open"


class PostgresRenewalStore:
    """``storage.renewal.RenewalStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, new: Renewal, charger_ids: Sequence[str]) -> Renewal:
        """In the order given; one that is there already stands. Raises Conflict for an unknown charger."""
        statement = insert(renewal).values(
            renewal_id=new.renewal_id,
            plan=asdict(new.plan),
            phase=new.phase.value,
            reason=new.reason,
            created_by=new.created_by,
            created_at=new.created_at,
            chargers=len(charger_ids),
            waves=len(wave_sizes(len(charger_ids), new.plan)),
        )
        waves = [
            wave for wave, size in enumerate(wave_sizes(len(charger_ids), new.plan)) for _ in range(size)
        ]
        given = (
            func.unnest(cast(list(charger_ids), ARRAY(Text)), cast(waves, ARRAY(_T.wave.type)))
            .table_valued("charger_id", "wave", with_ordinality="place")
            .render_derived(name="given")
        )
        lines = insert(renewal_target).from_select(
            ["renewal_id", "wave", "ordinal", "charger_id", "attempts", "reason"],
            select(
                literal(new.renewal_id),
                given.c.wave,
                given.c.place - 1,
                given.c.charger_id,
                literal(0),
                literal(""),
            ),
        )
        async with transaction(self._engine) as connection:
            if (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1:
                await connection.execute(lines)
            return await _get(connection, new.renewal_id)

    async def get(self, renewal_id: str) -> Renewal:
        """Raises NotFound."""
        async with reading(self._engine) as connection:
            return await _get(connection, renewal_id)

    async def find(self, *, limit: int = 50, cursor: str | None = None) -> Page[Renewal]:
        """Newest first."""
        query = select(renewal).order_by(_R.created_at.desc(), _R.renewal_id.desc()).limit(limit + 1)
        if cursor is not None:
            at, renewal_id = cursors.decode(cursor, 2)
            place = func.row(_R.created_at, _R.renewal_id)
            query = query.where(place < func.row(cursors.instant(at), renewal_id))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
            counts = await _counts(connection, [row.renewal_id for row in rows])
        return cursors.page(
            rows,
            limit,
            lambda row: _renewal(row, counts.get(row.renewal_id, {})),
            lambda row: (row.created_at.isoformat(), row.renewal_id),
        )

    async def running(self) -> Sequence[str]:
        """Ids of those that are not over."""
        query = select(_R.renewal_id).where(_R.phase.not_in(_FINAL))
        async with reading(self._engine) as connection:
            return list((await connection.execute(query)).scalars())

    async def set_phase(self, renewal_id: str, phase: RenewalPhase, reason: str, at: datetime) -> bool:
        """Whether it was changed: what is over stays so."""
        statement = (
            update(renewal)
            .where(_R.renewal_id == renewal_id, _R.phase.not_in(_FINAL))
            .values(phase=phase.value, reason=reason, finished_at=at if phase in FINAL else None)
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def targets(self, renewal_id: str, *, limit: int = 100, after: int = -1) -> Sequence[RenewalTarget]:
        """By ordinal."""
        query = (
            select(renewal_target)
            .where(_T.renewal_id == renewal_id, _T.ordinal > after)
            .order_by(_T.ordinal)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [_target(row) for row in await connection.execute(query)]

    async def due(self, renewal_id: str, wave: int, now: datetime, *, limit: int) -> Sequence[RenewalTarget]:
        """Those of a wave that can be tried now: connected, free, without an outcome."""
        query = (
            select(renewal_target)
            .join(charger_route, charger_route.c.charger_id == _T.charger_id)
            .where(
                _T.renewal_id == renewal_id,
                _T.wave == wave,
                _OPEN,
                or_(_T.not_before.is_(None), _T.not_before <= now),
                charger_route.c.lease_until > func.now(),
                _FREE,
            )
            .order_by(_T.attempts, _T.ordinal)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [_target(row) for row in await connection.execute(query)]

    async def note(self, target: RenewalTarget) -> None:
        """Write a charger's place; one with an outcome keeps it."""
        statement = (
            update(renewal_target)
            .where(_T.renewal_id == target.renewal_id, _T.ordinal == target.ordinal, _OPEN)
            .values(
                attempts=target.attempts,
                not_before=target.not_before,
                outcome=target.outcome.value if target.outcome else None,
                reason=target.reason,
                serial=target.serial,
                finished_at=target.finished_at,
            )
        )
        async with transaction(self._engine) as connection:
            await connection.execute(statement)

    async def counts(self, renewal_id: str, wave: int) -> WaveCounts:
        """How a wave stands."""
        async with reading(self._engine) as connection:
            found = (await _counts(connection, [renewal_id], wave)).get(renewal_id, {})
        return WaveCounts(found.pop(OPEN, 0), found)

    async def defer(self, renewal_id: str, wave: int | None, reason: str, at: datetime) -> int:
        """Give everybody without an outcome the outcome DEFERRED; None: in every wave."""
        statement = (
            update(renewal_target)
            .where(_T.renewal_id == renewal_id, _OPEN, *([] if wave is None else [_T.wave == wave]))
            .values(outcome=RenewalOutcome.DEFERRED.value, reason=reason, finished_at=at)
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount

    async def carry(self, renewal_id: str, wave: int) -> int:
        """Move everybody without an outcome from a wave to the next one; how many."""
        statement = update(renewal_target).where(_T.renewal_id == renewal_id, _T.wave == wave, _OPEN)
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement.values(wave=wave + 1))).rowcount

    async def in_any(self, charger_ids: Sequence[str]) -> frozenset[str]:
        """Those of them that a renewal has that is not over, and that have no outcome in it."""
        query = (
            select(_T.charger_id)
            .join(renewal, _R.renewal_id == _T.renewal_id)
            .where(_T.charger_id.in_(charger_ids), _OPEN, _R.phase.not_in(_FINAL))
        )
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def standing_still(self, charger_ids: Sequence[str]) -> dict[str, StandingStill]:
        """Those of them that wait in renewals that are paused or held, and in no other, with one of these."""
        other, job = renewal_target.alias("other"), renewal.alias("job")
        elsewhere = exists(
            select(1)
            .select_from(other.join(job, job.c.renewal_id == other.c.renewal_id))
            .where(
                other.c.charger_id == _T.charger_id,
                other.c.outcome.is_(None),
                job.c.phase == RenewalPhase.RUNNING.value,
            )
        )
        query = (
            select(_T.charger_id, _R.renewal_id, _R.plan["name"].astext, _R.phase, _R.reason, _WORK)
            .join(renewal, _R.renewal_id == _T.renewal_id)
            .where(_T.charger_id.in_(charger_ids), _OPEN, _R.phase.in_(_STILL), _FREE, ~elsewhere)
            # One that would renew it says more than another.
            .order_by(_RENEWS.asc(), _R.created_at)
        )
        async with reading(self._engine) as connection:
            return {
                charger_id: StandingStill(renewal_id, name, RenewalPhase(phase), reason, FleetWork(work))
                for charger_id, renewal_id, name, phase, reason, work in await connection.execute(query)
            }

    async def reschedule(self, charger_ids: Sequence[str], reason: str, at: datetime) -> dict[str, int]:
        """Take them out of what is paused or held and would renew them; how many of each renewal."""
        statement = (
            update(renewal_target)
            .where(
                _T.charger_id.in_(charger_ids),
                _OPEN,
                _T.renewal_id == _R.renewal_id,
                _R.phase.in_(_STILL),
                _RENEWS,
                _FREE,
            )
            .values(outcome=RenewalOutcome.RESCHEDULED.value, reason=reason, finished_at=at)
            .returning(_T.renewal_id)
        )
        async with transaction(self._engine) as connection:
            return dict(Counter((await connection.execute(statement)).scalars()))

    async def whys(self, charger_ids: Sequence[str]) -> dict[str, str]:
        """What was last written down of those that wait for their certificate, or asked in vain."""
        query = (
            select(_T.charger_id, _T.reason)
            .join(renewal, _R.renewal_id == _T.renewal_id)
            .where(
                _T.charger_id.in_(charger_ids),
                _T.reason != "",
                _RENEWS,
                or_(_OPEN, _T.outcome.in_(_IN_VAIN)),
            )
            .order_by(_R.created_at)
        )
        async with reading(self._engine) as connection:
            return {row.charger_id: row.reason for row in await connection.execute(query)}

    async def newest_of(self, created_by: str) -> Renewal | None:
        """The newest renewal that somebody began; None: there is none."""
        query = select(renewal).where(_R.created_by == created_by)
        query = query.order_by(_R.created_at.desc(), _R.renewal_id.desc()).limit(1)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return _renewal(row, {}) if row else None

    async def came_to_nothing(self, charger_ids: Sequence[str], since: datetime) -> dict[str, datetime]:
        """Whose last renewal since then ended without a new certificate, and when it did."""
        query = (
            select(_T.charger_id, _T.outcome, _T.finished_at)
            .join(renewal, _R.renewal_id == _T.renewal_id)
            .where(
                _T.charger_id.in_(charger_ids),
                _T.finished_at >= since,
                _RENEWS,
            )
            .order_by(_T.finished_at)
        )
        async with reading(self._engine) as connection:
            last = {row.charger_id: row for row in await connection.execute(query)}
        return {each: row.finished_at for each, row in last.items() if row.outcome in _IN_VAIN}


async def _get(connection: AsyncConnection, renewal_id: str) -> Renewal:
    row = (await connection.execute(select(renewal).where(_R.renewal_id == renewal_id))).one_or_none()
    if row is None:
        raise NotFound("renewal", renewal_id, hint="See them: ampwave cert renewals.")
    return _renewal(row, (await _counts(connection, [renewal_id])).get(renewal_id, {}))


async def _counts(
    connection: AsyncConnection, renewal_ids: Sequence[str], wave: int | None = None
) -> dict[str, dict[str, int]]:
    outcome = func.coalesce(_T.outcome, OPEN)
    query = (
        select(_T.renewal_id, outcome, func.count())
        .where(_T.renewal_id.in_(renewal_ids), *([] if wave is None else [_T.wave == wave]))
        .group_by(_T.renewal_id, outcome)
    )
    found: dict[str, dict[str, int]] = {}
    for renewal_id, name, count in await connection.execute(query):
        found.setdefault(renewal_id, {})[name] = count
    return found


def _renewal(row: Row[*tuple[Any, ...]], counts: dict[str, int]) -> Renewal:
    return Renewal(
        renewal_id=row.renewal_id,
        plan=plan_of(row.plan),
        phase=RenewalPhase(row.phase),
        reason=row.reason,
        created_by=row.created_by,
        created_at=row.created_at,
        chargers=row.chargers,
        waves=row.waves,
        finished_at=row.finished_at,
        counts=counts,
    )


def _target(row: Row[*tuple[Any, ...]]) -> RenewalTarget:
    values = row._asdict()
    outcome = RenewalOutcome(values["outcome"]) if values["outcome"] else None
    return RenewalTarget(**{**values, "outcome": outcome})
