"""A checked condition of the query language as SQL, with bound parameters only.

Yes, no and unknown are SQL's own true, false and NULL; a WHERE takes true alone. Whether an unknown may
be told from a no decides where a cheaper expression is enough: only below a ``not`` it may not.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import asyncpg
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    FromClause,
    Integer,
    Text,
    and_,
    any_,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.errors import EngineUnavailable
from storage.postgres.columns import Time
from storage.postgres.engine import transaction
from storage.postgres.query_sources import Sources, Value
from storage.query import checker
from storage.query.checker import Condition, Leaf
from storage.query.errors import QueryTooBroad
from storage.query.operands import Moment, Operand, like_of
from storage.query.syntax import Operator
from storage.query.versions import CORE, TRAILING_ZEROS, WHOLE, Version
from storage.query.vocabulary import Kind, Subject

MOST_SECONDS = 10.0
"""A query that the server did not answer by then is stopped."""

Truth = ColumnElement[Any]

_RELATIONS: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQUAL: eq,
    Operator.UNEQUAL: ne,
    Operator.LESS: lt,
    Operator.AT_MOST: le,
    Operator.MORE: gt,
    Operator.AT_LEAST: ge,
}
_NUMERIC = "^[+-]?[0-9]{1,15}([.][0-9]{1,15})?$"
_UNKNOWN = null()


@asynccontextmanager
async def asking(engine: AsyncEngine, seconds: float = MOST_SECONDS) -> AsyncIterator[AsyncConnection]:
    """A transaction for a query of people. Raises QueryTooBroad where it takes too long."""
    limit = func.set_config("statement_timeout", f"{int(seconds * 1000)}", True)  # noqa: FBT003 - SQL's own
    try:
        async with transaction(engine) as connection:
            await connection.execute(select(limit))
            yield connection
    except EngineUnavailable as error:
        if _was_stopped(error):
            raise QueryTooBroad(seconds) from error
        raise


def _was_stopped(error: EngineUnavailable) -> bool:
    cause = error.__cause__
    if isinstance(cause, DBAPIError) and cause.orig is not None:
        cause = cause.orig.__cause__
    return isinstance(cause, asyncpg.QueryCanceledError)


def compiled(condition: Condition, sources: Sources) -> Truth:
    """What a charger's row has to fulfil; ``sources`` gathers the joins it needs."""
    return _Compiler(sources).truth(condition, exact=False)


class _Compiler:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def truth(self, condition: Condition, *, exact: bool) -> Truth:
        """``exact``: an unknown must come out as NULL, for its opposite is asked for."""
        match condition:
            case checker.AllOf(parts):
                return and_(*(self.truth(part, exact=exact) for part in parts))
            case checker.AnyOf(parts):
                return or_(*(self.truth(part, exact=exact) for part in parts))
            case checker.Opposite(part):
                return not_(self.truth(part, exact=True))
            case checker.Compares(subject, Operator.EQUAL, True) if not exact:
                certain = self._sources.certain(subject)
                return self._leaf(condition) if certain is None else certain
            case _:
                return self._leaf(condition)

    def _leaf(self, condition: Leaf) -> Truth:
        match condition:
            case checker.IsKnown(subject):
                return self._known(subject)
            case checker.Contains(subject, text):
                return self._listed(subject, lambda each: each == literal(text, Text))
            case checker.Matches(subject, pattern):
                return self._matches(subject, pattern)
            case checker.OneOf(subject, operands):
                return self._of(subject, lambda value: _one_of(value, operands, self._now))
            case checker.Compares(subject, operator, operand):
                return self._of(subject, lambda value: _relation(operator, value, operand, self._now))

    @property
    def _now(self) -> datetime:
        return self._sources.now

    def _of(self, subject: Subject, test: Callable[[Value], Truth]) -> Truth:
        """Of one value, or of one connector's or session's at least."""
        if not subject.many:
            return test(self._sources.value(subject))
        each, value = self._sources.elements(subject)
        return _some(each, test(value))

    def _known(self, subject: Subject) -> Truth:
        if not subject.many:
            return self._sources.value(subject).is_not(None)
        each, value = self._sources.elements(subject)
        return select(1).select_from(each).where(value.is_not(None)).correlate_except(each).exists()

    def _matches(self, subject: Subject, pattern: str) -> Truth:
        def like(value: Value) -> Truth:
            return value.like(literal(like_of(pattern), Text), escape="\\")

        return self._listed(subject, like) if subject.kind is Kind.LIST else self._of(subject, like)

    def _listed(self, subject: Subject, test: Callable[[Value], Truth]) -> Truth:
        if subject.many:
            each, found = self._sources.elements(subject)
            return _some(each, _in_list(found, test))
        return _in_list(self._sources.value(subject), test)


def _in_list(found: Value, test: Callable[[Value], Truth]) -> Truth:
    """A list that is known and empty has nothing: that is a no."""
    each = func.jsonb_array_elements_text(found).table_valued(column("element", Text)).render_derived()
    inside = select(1).select_from(each).where(test(each.c.element)).correlate_except(each).exists()
    return case((found.is_not(None), inside))


def _some(each: FromClause, answer: Truth) -> Truth:
    """One yes is a yes; without it one unknown, or nothing at all, is unknown."""
    best = func.max(func.coalesce(cast(answer, Integer) * 2, 1))
    found = case((best == 2, literal_column("true")), (best == 0, literal_column("false")))
    return select(found).select_from(each).correlate_except(each).scalar_subquery()


def _one_of(value: Value, operands: Sequence[Operand], now: datetime) -> Truth:
    texts = [each for each in operands if isinstance(each, str)]
    same: list[Truth] = [value == any_(cast(texts, ARRAY(Text)))] if texts else []
    same += [_relation(Operator.EQUAL, value, each, now) for each in operands if not isinstance(each, str)]
    return or_(*same)


def _relation(operator: Operator, value: Value, operand: Operand, now: datetime) -> Truth:
    left, right = _sides(value, operand, now)
    related: Truth = _RELATIONS[operator](left, right)
    return related


def _sides(value: Value, operand: Operand, now: datetime) -> tuple[Value, Value]:
    """What is compared with what."""
    match operand:
        case Version():
            return _order(value, operand), literal_column("0")
        case Moment():
            return value, literal(operand.instant(now), Time)
        case bool():
            return _as_flag(value), literal_column("true" if operand else "false", Boolean)
        case float():
            return _as_number(value), literal(operand, Double)
        case str():
            return value, literal(operand, Text)


def _as_number(value: Value) -> Value:
    """A text that is a number; any other text is unknown as a number."""
    if not isinstance(value.type, Text):
        return value
    return case((value.regexp_match(_NUMERIC), cast(value, Double)))


def _as_flag(value: Value) -> Value:
    if not isinstance(value.type, Text):
        return value
    return case((func.lower(value) == "true", True), (func.lower(value) == "false", False))


def _order(value: Value, other: Version) -> Value:
    """As ``storage.query.versions.order`` has it: -1, 0, 1, or NULL where nobody can tell."""
    fits = value.regexp_match(f"^(?:{WHOLE})$")
    number = func.regexp_replace(func.substring(value, CORE), TRAILING_ZEROS, "")
    core = cast(func.string_to_array(number, "."), ARRAY(BigInteger))
    early = value.regexp_match(f"^[vV]?{CORE}-")
    theirs = literal(list(other.core), ARRAY(BigInteger))
    if other.early:
        equal = case((~early, 1), (value == literal(other.text, Text), 0))
    else:
        equal = case((early, -1), else_=0)
    return case((~fits, _UNKNOWN), (core < theirs, -1), (core > theirs, 1), (core == theirs, equal))
