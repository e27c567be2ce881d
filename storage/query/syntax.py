"""A query as written: its tree, and the text that gives this tree again. Places do not count for equality."""

from dataclasses import dataclass, field
from enum import StrEnum

from storage.query.errors import Span
from storage.query.lexer import is_word_sign, quoted

_NOWHERE = Span()


class Operator(StrEnum):
    """How two values are compared."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Name:
    """A field as somebody wrote it."""

    text: str
    at: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A value as somebody wrote it; what it means is said by the field it is compared with."""

    text: str
    quoted: bool = True
    at: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """``field < value``."""

    name: Name
    operator: Operator
    value: Value
    at: Span = field(default=_NOWHERE, compare=False)
    """Of the operator."""


@dataclass(frozen=True, slots=True)
class Among:
    """``field in (value, value)``."""

    name: Name
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """``field like pattern``."""

    name: Name
    pattern: Value
    at: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Has:
    """``list has value``."""

    name: Name
    value: Value
    at: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Known:
    """``known(field)``."""

    name: Name


@dataclass(frozen=True, slots=True)
class Holds:
    """A field of yes and no by itself: ``online``."""

    name: Name


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them."""

    parts: tuple["Node", ...]


Leaf = Compare | Among | Like | Has | Known | Holds
Node = Leaf | Not | And | Or


def text_of(node: Node) -> str:
    """The query that is read as this tree."""
    match node:
        case And(parts):
            return " and ".join(_within(part, And | Or) for part in parts)
        case Or(parts):
            return " or ".join(_within(part, Or) for part in parts)
        case Not(Known(name)):
            return f"unknown({_name(name)})"
        case Not(part):
            return f"not {_within(part, And | Or)}"
        case _:
            return _leaf(node)


def _leaf(node: Leaf) -> str:
    match node:
        case Known(name):
            return f"known({_name(name)})"
        case Holds(name):
            return _name(name)
        case Compare(name, operator, value):
            return f"{_name(name)} {operator} {_value(value)}"
        case Among(name, values):
            return f"{_name(name)} in ({', '.join(map(_value, values))})"
        case Like(name, pattern):
            return f"{_name(name)} like {_value(pattern)}"
        case Has(name, value):
            return f"{_name(name)} has {_value(value)}"


def _within(node: Node, weaker: object) -> str:
    text = text_of(node)
    return f"({text})" if isinstance(node, weaker) else text  # type: ignore[arg-type]  # classes, joined


def _name(name: Name) -> str:
    odd = next((place for place, sign in enumerate(name.text) if not is_word_sign(sign)), None)
    if odd is None:
        return name.text
    cut = name.text.rfind(".", 0, odd) + 1
    return name.text[:cut] + quoted(name.text[cut:])


def _value(value: Value) -> str:
    return quoted(value.text) if value.quoted else value.text
