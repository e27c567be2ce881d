"""Many rows in one statement: they travel as one JSON text, which the server makes rows of again.

A statement run for each row costs both ends several times as much, and a parameter for each column of wide
rows that are mostly zero as well.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from sqlalchemy import JSON, ColumnElement, Table, Text, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import insert

from storage.canonical import plain_json
from storage.postgres.prepared import Prepared


class Upsert:
    """Rows that are new, or joined with those of the same key; no two may have the same key."""

    def __init__(self, table: Table, joined: Mapping[str, ColumnElement[Any]] | None = None) -> None:
        """``joined``: columns that are made of both rows (``insert.excluded``); others are replaced."""
        names, keys = [each.name for each in table.c], [each.name for each in table.primary_key]
        text = cast(bindparam("rows", type_=Text), JSON)
        columns = (column(each.name, each.type) for each in table.c)
        given = func.json_to_recordset(text).table_valued(*columns)
        given = given.render_derived(name="given", with_types=True)
        query = insert(table).from_select(names, select(*given.c))
        changed = {each: query.excluded[each] for each in names if each not in keys} | dict(joined or {})
        self._statement = Prepared(query.on_conflict_do_update(index_elements=keys, set_=changed))

    async def on(self, driver: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """On a connection of the driver's own, within its transaction if it has one."""
        if rows:
            await self._statement.on(driver, rows=plain_json(rows).decode())


def excluded(table: Table) -> Any:
    """The new row, in what is joined."""
    return insert(table).excluded


def as_row(noun: type) -> Callable[[Any], dict[str, Any]]:
    """What makes columns of a noun's own fields, quickly: there are many and they are wide."""
    names = tuple(each.name for each in fields(noun))
    values = attrgetter(*names)
    return lambda given: dict(zip(names, values(given), strict=True))
