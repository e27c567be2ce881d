"""JSON from strangers: bounded in size and depth, no key twice, no NaN. Two readers then read the same."""

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

from storage.errors import InvalidInput

MAX_DEPTH = 64


def read_json(data: bytes, what: str, *, limit: int, depth: int = MAX_DEPTH) -> Any:
    """The value of UTF-8 JSON. Raises InvalidInput, saying what is wrong with ``what``."""
    if len(data) > limit:
        raise InvalidInput(f"{capital(what)} has {len(data):,} bytes; at most {limit:,} are read.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{capital(what)} is not JSON in UTF-8 (byte {error.start}).") from None
    if _depth(text) > depth:
        raise InvalidInput(f"{capital(what)} is nested more than {depth} deep.")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_float)
    except json.JSONDecodeError as error:
        why = f"{error.msg} in line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"{capital(what)} is not JSON: {why}.") from None
    except ValueError as error:
        raise InvalidInput(f"{capital(what)} is refused: {error}.") from None
    if not _is_text(value):
        raise InvalidInput(f"{capital(what)} holds text that is not Unicode.")
    return value


def read_object(data: bytes, what: str, *, limit: int) -> dict[str, Any]:
    """The same, for what has to be an object."""
    value = read_json(data, what, limit=limit)
    if not isinstance(value, dict):
        raise InvalidInput(f"{capital(what)} is not a JSON object.")
    return value


def capital(what: str) -> str:
    """``what`` at the beginning of a sentence."""
    return what[:1].upper() + what[1:]


def _depth(text: str) -> int:
    """How deep brackets outside of strings go; read before parsing, since the parser recurses."""
    deepest = level = 0
    in_string = escaped = False
    for letter in text:
        if in_string:
            if escaped:
                escaped = False
            elif letter == "\\":
                escaped = True
            elif letter == '"':
                in_string = False
        elif letter == '"':
            in_string = True
        elif letter in "[{":
            level += 1
            deepest = max(deepest, level)
        elif letter in "]}":
            level -= 1
    return deepest


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:60]!r} is there twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:20]} is beyond what a number holds")
    return value


def _is_text(value: Any) -> bool:
    """No half of a surrogate pair: such text could be neither stored nor hashed."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
