"""From a query's tree to a condition whose fields exist and whose values fit them. Pure.

A condition has three outcomes, as SQL has: yes, no, and unknown. Whatever compares a missing value is
unknown, its opposite is unknown too, and only yes selects a charger: no data is never a pass. Whether a
value is there at all is asked by ``known(field)`` and ``unknown(field)``, which are never unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from storage.errors import InvalidInput
from storage.query import syntax
from storage.query.errors import QueryError, Unfit
from storage.query.operands import READERS, Operand, glob_problem
from storage.query.parser import parse, parse_name
from storage.query.syntax import Name, Operator, Value
from storage.query.versions import version_of
from storage.query.vocabulary import Kind, Subject, near, subject_of
from storage.twin_schema import DESIRABLE


@dataclass(frozen=True, slots=True)
class Compares:
    """A value stands in a relation to another."""

    subject: Subject
    operator: Operator
    operand: Operand


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value is one of these."""

    subject: Subject
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """A text, or one text of a list, fits a pattern of ``*`` and ``?``."""

    subject: Subject
    pattern: str


@dataclass(frozen=True, slots=True)
class Contains:
    """A list has this text."""

    subject: Subject
    text: str


@dataclass(frozen=True, slots=True)
class IsKnown:
    """A value is there."""

    subject: Subject


@dataclass(frozen=True, slots=True)
class Opposite:
    """Not so; unknown stays unknown."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of them."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of them at least."""

    parts: tuple["Condition", ...]


Leaf = Compares | OneOf | Matches | Contains | IsKnown
Condition = Leaf | Opposite | AllOf | AnyOf

MOST_GROUPINGS = 2
_EQUALITY = (Operator.EQUAL, Operator.UNEQUAL)
_UNORDERED = {Kind.TEXT, Kind.FLAG}


def condition_of(text: str) -> Condition:
    """What a query asks. Raises QueryError, and nothing else."""
    try:
        return _check(parse(text))
    except Unfit as unfit:
        raise QueryError(unfit.complaint, text) from None


def group_of(text: str) -> Subject:
    """A field to count by. Raises QueryError."""
    try:
        name = parse_name(text)
        subject = _subject(name)
        if not subject.groupable:
            what = "too many values" if subject.kind in (Kind.TEXT, Kind.NUMBER) else "no single value"
            raise Unfit(
                f"{subject.name} has {what} to count by",
                name.at,
                hint="Count by vendor, model, site, firmware.version ...",
            )
    except Unfit as unfit:
        raise QueryError(unfit.complaint, text) from None
    return subject


def groups_of(names: Sequence[str]) -> tuple[Subject, ...]:
    """One or two fields to count by. Raises QueryError or InvalidInput."""
    if not 1 <= len(names) <= MOST_GROUPINGS:
        raise InvalidInput(f"Count by one or {MOST_GROUPINGS} fields, not {len(names)}.")
    found = tuple(map(group_of, names))
    if len(set(found)) < len(found):
        raise InvalidInput(f"Both fields to count by are {found[0].name}.")
    return found


def _check(node: syntax.Node) -> Condition:
    match node:
        case syntax.And(parts):
            return AllOf(tuple(map(_check, parts)))
        case syntax.Or(parts):
            return AnyOf(tuple(map(_check, parts)))
        case syntax.Not(part):
            return Opposite(_check(part))
        case _:
            return _check_leaf(node)


def _check_leaf(node: syntax.Leaf) -> Condition:
    match node:
        case syntax.Known(name):
            return IsKnown(_subject(name))
        case syntax.Holds(name):
            return _flag(name)
        case syntax.Compare():
            return _compares(node)
        case syntax.Among(name, values):
            subject = _subject(name)
            return OneOf(subject, tuple(_operand(subject, value, Operator.EQUAL) for value in values))
        case syntax.Like():
            return _matches(node)
        case syntax.Has():
            return _contains(node)


def _subject(name: Name) -> Subject:
    subject = subject_of(name.text)
    if subject is None:
        hint = "" if near(name.text) else "docs/QUERY.md lists the fields."
        if name.text.startswith("desired."):
            hint = f"Only {', '.join(DESIRABLE)} have a desired side, and of them what people may set."
        raise Unfit(f"a charger has no field {name.text!r}", name.at, near=near(name.text), hint=hint)
    return subject


def _flag(name: Name) -> Condition:
    subject = _subject(name)
    if subject.kind is not Kind.FLAG:
        hint = f"Compare it ({subject.name} = ...), or ask known({subject.name})."
        raise Unfit(f"{subject.name} is a {subject.kind}, no yes or no by itself", name.at, hint=hint)
    return Compares(subject, Operator.EQUAL, operand=True)


def _compares(node: syntax.Compare) -> Condition:
    subject = _subject(node.name)
    if subject.kind is Kind.LIST:
        raise Unfit(f"{subject.name} is a list", node.at, hint=f"Ask {subject.name} has {node.value.text!r}.")
    if subject.kind in _UNORDERED and node.operator not in _EQUALITY:
        hint = "Texts are compared with =, !=, in and like." if subject.kind is Kind.TEXT else "Use = or !=."
        raise Unfit(f"{subject.name} is a {subject.kind}, which has no order", node.at, hint=hint)
    return Compares(subject, node.operator, _operand(subject, node.value, node.operator))


def _operand(subject: Subject, value: Value, operator: Operator) -> Operand:
    if subject.kind is Kind.LIST:
        raise Unfit(f"{subject.name} is a list", value.at, hint=f"Ask {subject.name} has {value.text!r}.")
    if subject.kind in (Kind.TEXT, Kind.VERSION, Kind.VARIABLE):
        _refuse_traps(subject, value)
    if subject.kind is Kind.VERSION and operator not in _EQUALITY:
        return _version(value)
    if subject.kind is Kind.VARIABLE and operator not in _EQUALITY:
        return READERS[Kind.NUMBER](value, f"{subject.name} is ordered as a number, so it")
    return READERS[subject.kind](value, subject.name)


def _version(value: Value) -> Operand:
    if (version := version_of(value.text)) is None:
        hint = "Ordered are numbers between dots, as in 1.2.10 or 2.0.0-rc1; compare others with = and like."
        raise Unfit(f"{value.text!r} is no version with an order", value.at, hint=hint)
    return version


def _refuse_traps(subject: Subject, value: Value) -> None:
    """What would be read as a text and is certainly meant otherwise."""
    if subject.choices and value.text not in subject.choices:
        close = get_close_matches(value.text.lower(), [each.lower() for each in subject.choices], 3, 0.6)
        meant = [each for each in subject.choices if each.lower() in close]
        hint = "" if meant else f"It is one of {', '.join(subject.choices)}."
        raise Unfit(f"{subject.name} is never {value.text!r}", value.at, near=meant, hint=hint)
    if value.quoted or subject.choices:
        return
    if value.text.lower() in ("unknown", "known"):
        hint = f"Write {value.text.lower()}({subject.name}); if it is the value, quote it."
        raise Unfit(f"{value.text!r} is compared as a text here", value.at, hint=hint)
    if "*" in value.text or "?" in value.text:
        hint = f"Write {subject.name} like {value.text}; if it is the value, quote it."
        raise Unfit("'*' and '?' stand for themselves here", value.at, hint=hint)


def _matches(node: syntax.Like) -> Condition:
    subject = _subject(node.name)
    if subject.kind not in (Kind.TEXT, Kind.VERSION, Kind.VARIABLE, Kind.LIST):
        raise Unfit(f"{subject.name} is a {subject.kind}, which fits no pattern", node.at)
    if problem := glob_problem(node.pattern.text):
        raise Unfit(problem, node.pattern.at)
    return Matches(subject, node.pattern.text)


def _contains(node: syntax.Has) -> Condition:
    subject = _subject(node.name)
    if subject.kind is not Kind.LIST:
        hint = f"Ask {subject.name} = {node.value.text!r}."
        raise Unfit(f"{subject.name} is a {subject.kind}, no list", node.at, hint=hint)
    return Contains(subject, node.value.text)
