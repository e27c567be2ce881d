"""What is wrong with a query, and where: always with the place, so that people see it at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the query's text: from ``start`` up to, not including, ``end``."""

    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a query as people count: lines and columns from 1."""

    line: int
    column: int
    offset: int
    """Characters before it, from 0."""
    length: int
    source: str
    """The line it is in."""

    @classmethod
    def of(cls, text: str, at: Span) -> "Position":
        """Where a span is in its text."""
        before = text[: at.start]
        begin = before.rfind("\n") + 1
        source = text[begin:].partition("\n")[0]
        column = at.start - begin
        length = max(1, min(at.end - at.start, len(source) - column))
        return cls(before.count("\n") + 1, column + 1, at.start, length, source)

    def caret(self) -> tuple[str, str]:
        """The line, and the one below it that points at the place; of a long line the part around it."""
        start = max(0, self.column - 1 - _AROUND)
        end = self.column - 1 + self.length + _AROUND
        shown = "".join(each if each.isprintable() else " " for each in self.source[start:end])
        return shown, " " * (self.column - 1 - start) + "^" * min(self.length, _AROUND)


_AROUND = 60
"""Characters shown of a long line on either side of the place, and of the place itself."""
_MOST_TOLD = 300


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, without the text around it."""

    message: str
    at: Span
    near: tuple[str, ...] = ()
    """Names that may have been meant."""
    hint: str = ""


class QueryError(InvalidInput):
    """A query that cannot be answered; ``position`` says where, ``near`` what may have been meant."""

    def __init__(self, complaint: Complaint, text: str) -> None:
        position = Position.of(text, complaint.at)
        near = f"Did you mean {_either(complaint.near)}?" if complaint.near else ""
        hint = " ".join(part for part in (near, complaint.hint) if part)
        message = _short(complaint.message)
        super().__init__(f"Line {position.line}, column {position.column}: {message}.", hint=_short(hint))
        self.position = position
        self.near = complaint.near

    def diagnostics(self) -> str:
        """The message, the place, and the next step."""
        return "\n".join(part for part in (self.message, *self.position.caret(), self.hint) if part)


class Unfit(Exception):
    """Stops the reading of a query at the first thing that is wrong."""

    def __init__(self, message: str, at: Span, *, near: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message)
        self.complaint = Complaint(message, at, tuple(near), hint)


class QueryTooBroad(InvalidInput):
    """A query that the database did not answer in its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The query took longer than {seconds:g} s and was stopped.",
            hint="Narrow it by vendor, model or site, which have indexes.",
        )


def _short(text: str) -> str:
    """A sentence that may quote a long token, cut to what people read."""
    return text if len(text) <= _MOST_TOLD else f"{text[: _MOST_TOLD - 3]}..."


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


__all__ = ["Complaint", "Position", "QueryError", "QueryTooBroad", "Span", "Unfit"]
