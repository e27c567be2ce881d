"""A query's text as tokens. Pure; anything that is not part of the language stops it where it stands."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from storage.query.errors import Span, Unfit

MAX_LENGTH = 4000
"""Characters of a query."""

QUOTES = "\"'"
_WORD_SIGNS = frozenset("_.*?+-:/@%#[]")
_OPERATORS = ("!=", "<=", ">=", "=", "<", ">")
_SINGLE = {"(": "open", ")": "close", ",": "comma"}
_NO_TEXT = frozenset({"Cc", "Cs"})
"""Control characters, and halves of characters."""


class Kind(StrEnum):
    """What a token is."""

    WORD = "word"
    """A name, a keyword or a value without quotes."""
    TEXT = "text"
    """A value in quotes."""
    OPERATOR = "operator"
    OPEN = "open"
    CLOSE = "close"
    COMMA = "comma"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a query; ``text`` is without quotes and escapes."""

    kind: Kind
    text: str
    at: Span


def is_word_sign(sign: str) -> bool:
    """Whether a character may be in a word without quotes."""
    return sign in _WORD_SIGNS or (sign.isascii() and sign.isalnum()) or (sign > "\x7f" and sign.isalpha())


def tokens(text: str) -> list[Token]:
    """All tokens, the last one the end. Raises Unfit."""
    if len(text) > MAX_LENGTH:
        message = f"the query has {len(text)} characters, more than {MAX_LENGTH}"
        raise Unfit(message, Span(MAX_LENGTH, len(text)), hint="Say less, or ask in parts.")
    return list(_scan(text))


def _scan(text: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        sign = text[place]
        if sign.isspace():
            place += 1
            continue
        token = _next(text, place)
        yield token
        place = token.at.end
    yield Token(Kind.END, "", Span(len(text), len(text)))


def _next(text: str, place: int) -> Token:
    sign = text[place]
    if sign in QUOTES:
        value, end = _quoted(text, place)
        return Token(Kind.TEXT, value, Span(place, end))
    if sign in _SINGLE:
        return Token(Kind(_SINGLE[sign]), sign, Span(place, place + 1))
    for operator in _OPERATORS:
        if text.startswith(operator, place):
            return Token(Kind.OPERATOR, operator, Span(place, place + len(operator)))
    if is_word_sign(sign):
        return _word(text, place)
    shown = repr(sign) if sign.isprintable() else f"U+{ord(sign):04X}"
    hint = "This is no SQL: give only the condition." if sign == ";" else "Put texts in quotes."
    raise Unfit(f"{shown} is not part of the language", Span(place, place + 1), hint=hint)


def _word(text: str, start: int) -> Token:
    """A word; behind a dot a part of it may be in quotes: ``configuration."Weird name"``."""
    parts: list[str] = []
    place = start
    while place < len(text):
        if is_word_sign(text[place]):
            parts.append(text[place])
            place += 1
        elif text[place] in QUOTES and parts[-1:] == ["."]:
            value, place = _quoted(text, place)
            parts.append(value)
        else:
            break
    return Token(Kind.WORD, "".join(parts), Span(start, place))


def _quoted(text: str, start: int) -> tuple[str, int]:
    """What is in the quotes, and where they end. A backslash keeps a quote or a backslash as it is."""
    quote, place = text[start], start + 1
    parts: list[str] = []
    while place < len(text):
        sign = text[place]
        if sign == quote:
            return "".join(parts), place + 1
        if sign == "\\" and text[place + 1 : place + 2] in (*QUOTES, "\\"):
            place += 1
            sign = text[place]
        elif unicodedata.category(sign) in _NO_TEXT:
            raise Unfit(f"U+{ord(sign):04X} cannot be in a text", Span(place, place + 1))
        parts.append(sign)
        place += 1
    raise Unfit("this text has no closing quote", Span(start, len(text)), hint=f"Close it with {quote}.")


def quoted(text: str) -> str:
    """A text in quotes, as ``tokens`` reads it back."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
