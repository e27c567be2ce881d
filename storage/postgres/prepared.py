"""Statements of a hot path: written with SQLAlchemy like all others, made into SQL once, run by the driver.

A small statement built anew and run by SQLAlchemy (its cache key, a connection, a cursor and a result around
the driver's) takes five times the processor time that the driver takes for it.
"""

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, ColumnElement, Executable, Float, Select, Text, any_, bindparam
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import TypeEngine

from storage.postgres.engine import JSON_OPTIONS, driver_alone

_DIALECT: Any = asyncpg_dialect(**JSON_OPTIONS)  # type: ignore[no-untyped-call]
_Convert = Callable[[Any], Any] | None


class _Made(NamedTuple):
    sql: str
    parameters: tuple[tuple[str, Any, _Convert], ...]
    """In the order of $1, $2: name, the value that the statement has itself, how the driver wants it."""
    names: frozenset[str]
    """Of those that have to be given."""
    row: Callable[[Sequence[Any]], Any]
    converts: tuple[tuple[int, Callable[[Any], Any]], ...]
    """Which columns have to be made of what the driver gives, and how."""


class Prepared:
    """One statement; its parameters are each ``bindparam`` in it, and the columns of a bare ``insert``."""

    def __init__(self, statement: Executable) -> None:
        self._statement: Any = statement

    async def rows(self, engine: AsyncEngine, **values: Any) -> list[Any]:
        """Its rows by name and place, in one round trip, in a transaction of its own."""
        async with driver_alone(engine) as driver:
            return await self.on(driver, **values)

    async def row(self, engine: AsyncEngine, **values: Any) -> Any:
        """The only row, or None."""
        found = await self.rows(engine, **values)
        return found[0] if found else None

    async def on(self, driver: Any, **values: Any) -> list[Any]:
        """The same on a connection of the driver's own, within its transaction if it has one."""
        made = self._made
        if values.keys() != made.names:
            raise TypeError(
                f"parameters {sorted(values.keys() ^ made.names)} are missing, or not the statement's"
            )
        given = [
            convert(value) if convert is not None and value is not None else value
            for name, own, convert in made.parameters
            for value in (values.get(name, own),)
        ]
        records = await driver.fetch(made.sql, *given)
        if not made.converts:
            return [made.row(record) for record in records]
        return [made.row(_converted(record, made)) for record in records]

    @cached_property
    def _made(self) -> _Made:
        compiled = self._statement.compile(dialect=_DIALECT)
        own, binds = compiled.params, compiled.binds
        columns = list(self._statement.exported_columns)
        names = [getattr(column, "name", "") or "_" for column in columns]
        row: Any = namedtuple("row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024 - names of a query
        processors = [_result(column.type) for column in columns]
        return _Made(
            str(compiled),
            tuple((name, own[name], _bind(binds[name].type)) for name in compiled.positiontup or ()),
            frozenset(name for name, bind in binds.items() if bind.required),
            row._make,
            tuple((place, each) for place, each in enumerate(processors) if each is not None),
        )


class Keyed:
    """One question about the rows of some keys.

    Of a single key it is asked by equality: what that finds does not depend on the value, so the server
    keeps its plan. By a list it would plan each time anew, which takes longer than to look one row up.
    """

    def __init__(self, question: Select[*tuple[Any, ...]], key: ColumnElement[str]) -> None:
        self._one = Prepared(question.where(key == bindparam("of_key")))
        self._many = Prepared(question.where(key == any_(bindparam("of_keys", type_=ARRAY(Text)))))

    async def rows(self, engine: AsyncEngine, keys: Sequence[str]) -> list[Any]:
        """Of all these, in no order."""
        if len(keys) == 1:
            return await self._one.rows(engine, of_key=keys[0])
        return await self._many.rows(engine, of_keys=list(keys))


def _bind(kind: TypeEngine[Any]) -> _Convert:
    return kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def _result(kind: TypeEngine[Any]) -> _Convert:
    if isinstance(kind, Float):
        return None  # The driver gives floats; SQLAlchemy would look at the column's number first.
    return kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)


def _converted(record: Any, made: _Made) -> list[Any]:
    values = list(record)
    for place, convert in made.converts:
        values[place] = convert(values[place])
    return values
