"""Plans of which some fields could not be read, and rules that say nothing about what nobody knows. Pure.

Whoever looks at a field that could not be read is stopped, so a rule either was judged on what was read
alone, or says nothing. Nobody has to remember which rule looks at what.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")
Rules = Mapping[str, Callable[[], bool]]
"""Sentences, and whether each holds: asked one by one."""


class UnreadField(Exception):
    """Somebody looked at a field that could not be read."""


class _Partial:
    """Marks the classes that ``hide`` makes."""

    __slots__ = ()
    unread: ClassVar[frozenset[str]]


def hide(noun: T, names: Iterable[str]) -> T:
    """The same noun, but whoever looks at one of these fields gets UnreadField."""
    hidden = frozenset(names)
    return _made(type(noun), hidden, _values(noun)) if hidden else noun


def changed(noun: T, **changes: object) -> T:
    """``dataclasses.replace``, which leaves unread what was."""
    if not isinstance(noun, _Partial):
        return replace(noun, **changes)  # type: ignore[type-var]  # a dataclass, as every noun
    made: T = _made(type(noun).__mro__[1], noun.unread, {**_values(noun), **changes})
    return made


def _values(noun: object) -> dict[str, object]:
    names = (each.name for each in fields(noun))  # type: ignore[arg-type]  # as above
    return {name: object.__getattribute__(noun, name) for name in names}


def _made(kind: type[Any], hidden: frozenset[str], values: Mapping[str, object]) -> Any:
    def look(self: object, name: str) -> Any:
        if name in hidden:
            raise UnreadField(f"{kind.__name__}.{name}")
        return object.__getattribute__(self, name)

    partial = type(
        kind.__name__, (kind, _Partial), {"__slots__": (), "__getattribute__": look, "unread": hidden}
    )
    made: Any = object.__new__(partial)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def is_whole(noun: object) -> bool:
    """Whether every field of a noun, and of those in it, was read."""
    if isinstance(noun, _Partial):
        return False
    if isinstance(noun, tuple):
        return all(map(is_whole, noun))
    if is_dataclass(noun):
        return all(is_whole(getattr(noun, each.name)) for each in fields(noun))
    return True


@contextmanager
def where_read() -> Iterator[None]:
    """What is done in here ends at the first field that could not be read."""
    try:
        yield
    except UnreadField:
        return


def broken(rules: Rules) -> list[str]:
    """The rules that do not hold, of those that look at nothing unread."""
    return [sentence for sentence, holds in rules.items() if not _holds(holds)]


def _holds(rule: Callable[[], bool]) -> bool:
    with where_read():
        return rule()
    return True
