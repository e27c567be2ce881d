"""Which chargers a filter means, and how many of each kind: one statement, hence one instant."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, String, Text, any_, cast, collate, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.charger import ChargerFilter, FleetGroup, FleetGroups, GroupQuestion
from storage.postgres.query import compiled
from storage.postgres.query_sources import Instant, Sources
from storage.postgres.tables import charger, twin
from storage.query.checker import condition_of, groups_of

_MEASURES = ("count", "online", "reporting", "faulted", "attempted", "failed")


def one_of(charger_ids: Sequence[str]) -> ColumnElement[bool]:
    """One array parameter, so that a hundred thousand ids are no longer a statement than one."""
    return charger.c.charger_id == any_(cast(list(charger_ids), ARRAY(Text)))


def conditions(where: ChargerFilter, sources: Sources) -> list[ColumnElement[bool]]:
    """Everything that a filter asks. Raises QueryError."""
    equal = {
        charger.c.vendor: where.vendor,
        charger.c.model: where.model,
        charger.c.site_id: where.site_id,
        twin.c.firmware_version: where.firmware_version,
        twin.c.online: where.online,
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if where.charger_ids:
        found.append(one_of(where.charger_ids))
    if where.query is not None:
        found.append(compiled(condition_of(where.query), sources))
    return found


def matching(where: ChargerFilter, asked: Instant, *, after: str | None, limit: int) -> Select[str]:
    """The ids that a filter means, in order, from behind ``after`` on. Raises QueryError."""
    sources = Sources(asked)
    wanted = conditions(where, sources)
    if after is not None:
        wanted.append(charger.c.charger_id > after)
    query = select(charger.c.charger_id).select_from(sources.joined()).where(*wanted)
    return query.order_by(charger.c.charger_id).limit(limit)


def grouping(where: ChargerFilter, question: GroupQuestion, asked: Instant) -> Select[*tuple[Any, ...]]:
    """The largest groups, each beside the sums over all of them."""
    sources = Sources(asked)
    keys = [sources.value(subject).label(f"key{n}") for n, subject in enumerate(groups_of(question.by))]
    measures = _measures(sources, rates=question.rates)
    wanted = conditions(where, sources)
    inner = select(*keys, *(measure.label(name) for name, measure in measures.items()))
    grouped = inner.select_from(sources.joined()).where(*wanted).group_by(*keys).subquery("grouped")
    sums = [func.sum(grouped.c[name]).over().label(f"all_{name}") for name in measures]
    by_name = [collate(cast(grouped.c[key.name], String), "C").nulls_last() for key in keys]
    return (
        select(grouped, *sums, func.count().over().label("groups"))
        .order_by(grouped.c.count.desc(), *by_name)
        .limit(question.top)
    )


def _measures(sources: Sources, *, rates: bool) -> dict[str, ColumnElement[int]]:
    measures: dict[str, ColumnElement[int]] = {
        "count": func.count(),
        "online": func.count().filter(twin.c.online),
    }
    if rates:
        updates = sources.tally("updates")
        measures |= {
            "reporting": func.count().filter(sources.has_connectors()),
            "faulted": func.count().filter(twin.c.faulted),
            "attempted": func.coalesce(func.sum(updates.c.attempted), 0),
            "failed": func.coalesce(func.sum(updates.c.failed), 0),
        }
    return measures


async def count_groups(
    connection: AsyncConnection, where: ChargerFilter, question: GroupQuestion, asked: Instant
) -> FleetGroups:
    """Counted in the database; see ``storage.ports.ChargerStore.count_by``."""
    by = tuple(subject.name for subject in groups_of(question.by))
    rows = (await connection.execute(grouping(where, question, asked))).all()
    if not rows:
        return FleetGroups(by, asked.now, 0)
    shown = tuple(_group(row, tuple(row[: len(by)])) for row in rows)
    hidden = rows[0].groups - len(rows)
    rest = _rest(rows) if hidden else None
    return FleetGroups(by, asked.now, int(rows[0].all_count), shown, rest, hidden)


def _group(row: Row[*tuple[Any, ...]], values: tuple[Any, ...]) -> FleetGroup:
    found = row._mapping  # noqa: SLF001 - how SQLAlchemy names it
    return FleetGroup(values, **{name: int(found[name]) for name in _MEASURES if name in found})


def _rest(rows: Sequence[Row[*tuple[Any, ...]]]) -> FleetGroup:
    names = [name for name in _MEASURES if name in rows[0]._mapping]  # noqa: SLF001
    shown = {name: sum(row._mapping[name] for row in rows) for name in names}  # noqa: SLF001
    return FleetGroup((), **{name: int(rows[0]._mapping[f"all_{name}"] - shown[name]) for name in names})  # noqa: SLF001
