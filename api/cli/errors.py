"""What a command can end with when it does not succeed; each knows its exit code.

CliError (1)
├── Refused (1)        the server said no, with a problem+json document
├── Unreachable (3)    nobody answered, or an engine behind the api is down; trying again may help
└── WrongUse (2)       the command line or an input file is wrong
    └── NoToken (2)    no bearer token was found
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from storage.errors import AmpwaveError

Record = dict[str, Any]
"""A JSON object as the api sent it."""

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3


class CliError(AmpwaveError):
    """A command did not succeed; ``problems`` are printed one to a line."""

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str, problems: Sequence[str] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)
        self.detail = ""
        """A second sentence about this very case, if the message speaks of its kind."""
        self.pointer: tuple[str, ...] = ()
        """A line of what was given, and below it a mark at the place that is wrong."""

    def document(self) -> Record:
        """The error as a problem document, for ``--json``."""
        return {
            "title": self.message,
            "detail": self.detail,
            "problems": list(self.problems),
            "hint": self.hint,
        }


class Refused(CliError):
    """The server said no."""

    def __init__(self, problem: Record, *, hint: str = "") -> None:
        title = str(problem.get("title") or f"The server answered {problem.get('status')}.")
        detail = str(problem.get("detail") or "")
        super().__init__(title, [str(item) for item in problem.get("problems") or ()], hint=hint)
        self.detail = detail if detail != title else ""
        self.problem = problem
        self.pointer = _pointer(problem.get("position"))

    def document(self) -> Record:
        """The server's own document with our hint."""
        return {**self.problem, "hint": self.hint}


def _pointer(position: Any) -> tuple[str, ...]:
    """The caret below a place of a query, as the server described the place."""
    from storage.query.errors import Position

    try:
        return Position(**position).caret() if position else ()
    except (TypeError, ValueError, AttributeError):
        return ()  # of another server than ours


class Unreachable(CliError):
    """Nobody answered, or what stands behind the api is down."""

    retryable: ClassVar[bool] = True
    exit_code: ClassVar[int] = EXIT_UNREACHABLE


class WrongUse(CliError):
    """The command line or an input file is wrong; nothing was sent."""

    exit_code: ClassVar[int] = EXIT_USAGE


class NoToken(WrongUse):
    """No bearer token was found."""
