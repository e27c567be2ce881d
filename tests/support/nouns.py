"""Strategies for our nouns, from their annotations."""

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

AT = datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC)
SCALARS = {
    str: st.text(max_size=8),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    datetime: st.integers(0, 10**9).map(lambda seconds: AT + timedelta(seconds=seconds)),
}


def any_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type as our nouns use them."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of([any_of(each) for each in args])
    if origin is tuple and args[-1] is not Ellipsis:
        return st.tuples(*[any_of(each) for each in args])
    if origin is tuple:
        return st.lists(any_of(args[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(any_of(args[0]), any_of(args[1]), max_size=3)
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{each.name: any_of(hints[each.name]) for each in fields(hint)})
    return st.sampled_from(list(hint)) if issubclass(hint, Enum) else SCALARS[hint]
