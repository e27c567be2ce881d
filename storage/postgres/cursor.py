"""Opaque cursors: where the next page of a listing begins."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import orjson

from storage.errors import InvalidInput
from storage.ports import Page

T = TypeVar("T")
Row = Any


def encode(*position: Any) -> str:
    """The position of a page's last row: a few strings, numbers or times."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def decode(cursor: str, length: int) -> list[str]:
    """The position again. Raises InvalidInput for anything that we did not make."""
    try:
        position = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise _invalid() from error
    if not isinstance(position, list) or len(position) != length:
        raise _invalid()
    if not all(isinstance(each, str) for each in position):
        raise _invalid()
    return position


def number(cursor: str) -> int:
    """The one number of a decoded position."""
    (text,) = decode(cursor, 1)
    return whole(text)


def whole(text: str) -> int:
    """A number of a decoded position."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise _invalid()
    return int(text)


def instant(text: str) -> datetime:
    """A time of a decoded position."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid() from error
    if found.tzinfo is None:
        raise _invalid()
    return found


def _invalid() -> InvalidInput:
    return InvalidInput("The cursor is not one of ours.", hint="Take it from the page before, unchanged.")


def page(
    rows: Sequence[Row], limit: int, read: Callable[[Row], T], position: Callable[[Row], Sequence[Any]]
) -> Page[T]:
    """A page from up to ``limit + 1`` rows: the one too many only says that there is more."""
    shown = rows[:limit]
    more = len(rows) > limit and shown
    return Page(tuple(read(row) for row in shown), encode(*position(shown[-1])) if more else None)
