"""Values of a query, read as the field they are compared with wants them. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from storage.query.errors import Unfit
from storage.query.syntax import Value
from storage.query.versions import Version
from storage.query.vocabulary import Kind

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, or so long from the instant of the question."""

    at: datetime | None = None
    offset: timedelta = timedelta()

    def instant(self, now: datetime) -> datetime:
        """The instant it is for a question at ``now``; what lies beyond the calendar is its end."""
        try:
            return (self.at or now) + self.offset
        except OverflowError:
            return _LAST if self.offset > timedelta() else _FIRST


Operand = str | float | bool | Version | Moment

_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")
_SPAN = re.compile(r"([+-]?)((?:[0-9]{1,9}(?:w|d|h|min|m|s))+)")
_PART = re.compile(r"([0-9]+)(w|d|h|min|m|s)")
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "min": 60, "m": 60, "s": 1}
_LONGEST = 100 * 366 * 86_400
_TIME_HINT = "Write 2026-11-25T12:00:00Z, 2026-11-25, now, -24h (24 hours ago) or +30d (in 30 days)."


def read_text(value: Value, _: str) -> Operand:
    """As it is."""
    return value.text


def read_number(value: Value, name: str) -> Operand:
    """A number in decimal notation."""
    if value.quoted or not _NUMBER.fullmatch(value.text):
        raise Unfit(f"{name} needs a number, not {value.text!r}", value.at)
    return float(value.text)


def read_flag(value: Value, name: str) -> Operand:
    """Yes or no, as true and false."""
    word = value.text.lower()
    if value.quoted or word not in ("true", "false"):
        raise Unfit(f"{name} needs true or false, not {value.text!r}", value.at)
    return word == "true"


def read_variable(value: Value, _: str) -> Operand:
    """A number or true/false where it is written without quotes and looks like one, else a text."""
    if not value.quoted and _NUMBER.fullmatch(value.text):
        return float(value.text)
    if not value.quoted and value.text.lower() in ("true", "false"):
        return value.text.lower() == "true"
    return value.text


def read_moment(value: Value, name: str) -> Operand:
    """An instant with its zone, a day (UTC), now, or a signed length of time from now."""
    text = value.text
    if text.lower() == "now":
        return Moment()
    if span := _SPAN.fullmatch(text):
        return _relative(value, span)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Unfit(f"{name} needs a time, not {text!r}", value.at, hint=_TIME_HINT) from None
    if at.tzinfo is None:
        if len(text) > len("2026-11-25"):
            raise Unfit(f"{text!r} lacks its time zone", value.at, hint="Put Z behind it for UTC.")
        at = at.replace(tzinfo=UTC)
    return Moment(_in_utc(at))


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:  # the first and the last hours of the calendar
        return at.replace(tzinfo=UTC)


def _relative(value: Value, span: re.Match[str]) -> Moment:
    if not span[1]:
        hint = f"-{value.text} is so long ago, +{value.text} so far ahead."
        raise Unfit("a length of time from now needs its sign", value.at, hint=hint)
    seconds = sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(span[2]))
    if seconds > _LONGEST:
        raise Unfit("that is more than a hundred years", value.at)
    return Moment(offset=timedelta(seconds=-seconds if span[1] == "-" else seconds))


READERS: Mapping[Kind, Callable[[Value, str], Operand]] = {
    Kind.TEXT: read_text,
    Kind.VERSION: read_text,
    Kind.VARIABLE: read_variable,
    Kind.NUMBER: read_number,
    Kind.FLAG: read_flag,
    Kind.TIME: read_moment,
    Kind.LIST: read_text,
}
"""How a value is read, by what it is compared with."""

_MOST_STARS = 10


def glob_problem(pattern: str) -> str | None:
    """Why a pattern is refused, if it is: many stars make matching slow."""
    stars = pattern.replace("\\*", "").count("*")
    return f"a pattern has at most {_MOST_STARS} stars, not {stars}" if stars > _MOST_STARS else None


def like_of(pattern: str) -> str:
    """A pattern of ``*`` and ``?`` as one of SQL's LIKE; a backslash takes the meaning from the next sign."""
    parts: list[str] = []
    escaped = False
    for sign in pattern:
        if escaped or sign not in "*?\\":
            parts.append(f"\\{sign}" if sign in "%_\\" else sign)
            escaped = False
        elif sign == "\\":
            escaped = True
        else:
            parts.append("%" if sign == "*" else "_")
    return "".join(parts) + ("\\\\" if escaped else "")
