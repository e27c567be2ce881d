"""Jobs that bring values to many chargers; every line's state is here, so a crash loses no place."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, cast, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.configuration import ConfigurationJob, ConfigurationLine, JobState, LineState
from storage.errors import NotFound
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.engine import reading, transaction
from storage.postgres.leases import ALIVE
from storage.postgres.tables import charger_route, configuration, configuration_line, site_lease

_JOB = configuration.c
_LINE = configuration_line.c
_WAITING = _LINE.state == LineState.WAITING.value


class PostgresConfigurationStore:
    """See ``storage.twin_ports.ConfigurationStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open_configuration(self, job: ConfigurationJob, charger_ids: Sequence[str]) -> ConfigurationJob:
        """Write it down with a line for each charger; a job that is there already stands."""
        statement = insert(configuration).values(
            configuration_id=job.configuration_id,
            values=job.values,
            actor=job.actor,
            created_at=job.created_at,
            deadline_at=job.deadline_at,
            request_sha256=job.request_sha256,
            state=job.state.value,
        )
        ids = (
            func.unnest(cast(list(charger_ids), ARRAY(Text)))
            .table_valued("charger_id", with_ordinality="place")
            .render_derived(name="given")
        )
        lines = insert(configuration_line).from_select(
            ["configuration_id", "ordinal", "charger_id"],
            select(literal(job.configuration_id), ids.c.place - 1, ids.c.charger_id),
        )
        async with transaction(self._engine) as connection:
            if (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1:
                await connection.execute(lines)
            return await _job(connection, job.configuration_id)

    async def configuration(self, configuration_id: str) -> ConfigurationJob:
        """With its counts. Raises NotFound."""
        async with reading(self._engine) as connection:
            return await _job(connection, configuration_id)

    async def configurations(self, *, limit: int = 50) -> Sequence[ConfigurationJob]:
        """Newest first, without counts."""
        query = select(configuration).order_by(_JOB.created_at.desc()).limit(limit)
        async with reading(self._engine) as connection:
            return [_noun(row, {}) for row in await connection.execute(query)]

    async def configuration_lines(
        self,
        configuration_id: str,
        *,
        state: LineState | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ConfigurationLine]:
        """By ordinal."""
        query = select(configuration_line).where(_LINE.configuration_id == configuration_id)
        if state is not None:
            query = query.where(_LINE.state == state.value)
        if cursor is not None:
            query = query.where(_LINE.ordinal > cursors.number(cursor))
        query = query.order_by(_LINE.ordinal).limit(limit + 1)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return cursors.page(rows, limit, _line, lambda row: [str(row.ordinal)])

    async def configuration_line(self, configuration_id: str, ordinal: int) -> ConfigurationLine:
        """One line. Raises NotFound."""
        query = select(configuration_line).where(
            _LINE.configuration_id == configuration_id, _LINE.ordinal == ordinal
        )
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NotFound("line of a configuration", f"{configuration_id}/{ordinal}")
        return _line(row)

    async def undesired(self, configuration_id: str, *, limit: int = 200) -> Sequence[ConfigurationLine]:
        """Lines whose values are not desired of their charger yet."""
        query = (
            select(configuration_line)
            .where(_LINE.configuration_id == configuration_id, _WAITING, _LINE.desired_version.is_(None))
            .order_by(_LINE.ordinal)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [_line(row) for row in await connection.execute(query)]

    async def deliverable(
        self, configuration_id: str, *, after: int = -1, limit: int = 50
    ) -> Sequence[ConfigurationLine]:
        """Waiting lines past an ordinal whose charger is connected and in no maintenance now."""
        query = (
            select(configuration_line)
            .join(charger_route, charger_route.c.charger_id == _LINE.charger_id)
            .outerjoin(site_lease, (site_lease.c.charger_id == _LINE.charger_id) & ALIVE)
            .where(
                _LINE.configuration_id == configuration_id,
                _WAITING,
                _LINE.ordinal > after,
                _LINE.desired_version.is_not(None),
                charger_route.c.lease_until > func.now(),
                site_lease.c.charger_id.is_(None),
            )
            .order_by(_LINE.ordinal)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [_line(row) for row in await connection.execute(query)]

    async def move_line(self, line: ConfigurationLine) -> bool:
        """Write a waiting line as it is given; whether it was waiting."""
        statement = (
            update(configuration_line)
            .where(_LINE.configuration_id == line.configuration_id, _LINE.ordinal == line.ordinal, _WAITING)
            .values(
                state=line.state.value,
                reason=line.reason,
                desired_version=line.desired_version,
                attempts=line.attempts,
                finished_at=line.finished_at,
            )
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def close_configuration(
        self, configuration_id: str, state: JobState, rest: LineState, at: datetime
    ) -> bool:
        """End a job; lines that still wait end as ``rest``. The first end stands; whether this was it."""
        job = (
            update(configuration)
            .where(_JOB.configuration_id == configuration_id, _JOB.state == JobState.RUNNING.value)
            .values(state=state.value, finished_at=at)
        )
        lines = (
            update(configuration_line)
            .where(_LINE.configuration_id == configuration_id, _WAITING)
            .values(state=rest.value, finished_at=at)
        )
        async with transaction(self._engine) as connection:
            if (await connection.execute(job)).rowcount == 0:
                return False
            await connection.execute(lines)
            return True


async def _job(connection: AsyncConnection, configuration_id: str) -> ConfigurationJob:
    query = select(configuration).where(_JOB.configuration_id == configuration_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("configuration", configuration_id)
    counting = (
        select(_LINE.state, func.count().label("lines"))
        .where(_LINE.configuration_id == configuration_id)
        .group_by(_LINE.state)
    )
    counts = {row.state: row.lines for row in await connection.execute(counting)}
    return _noun(row, counts)


def _noun(row: Row[*tuple[Any, ...]], counts: dict[str, int]) -> ConfigurationJob:
    return ConfigurationJob(
        configuration_id=row.configuration_id,
        values=row._mapping["values"],  # noqa: SLF001 - a row's own attribute has this name
        actor=row.actor,
        created_at=row.created_at,
        deadline_at=row.deadline_at,
        request_sha256=row.request_sha256,
        state=JobState(row.state),
        finished_at=row.finished_at,
        counts=counts,
    )


def _line(row: Row[*tuple[Any, ...]]) -> ConfigurationLine:
    return ConfigurationLine(
        configuration_id=row.configuration_id,
        ordinal=row.ordinal,
        charger_id=row.charger_id,
        state=LineState(row.state),
        reason=row.reason,
        desired_version=row.desired_version,
        attempts=row.attempts,
        finished_at=row.finished_at,
    )
