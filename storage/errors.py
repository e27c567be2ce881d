"""What can go wrong with stored things.

AmpwaveError
├── InvalidName          a name that does not have the allowed shape
├── InvalidInput         a value that breaks a rule; lists every problem at once
├── NotFound             no such thing
├── Conflict             it is there already, or its state forbids this
│   └── StaleVersion     somebody else wrote first (If-Match, epoch, conditional put)
└── EngineUnavailable    PostgreSQL or S3 did not answer; retryable
"""

from collections.abc import Sequence
from typing import ClassVar


class AmpwaveError(Exception):
    """The root of our errors: says who, what, and what next. ``retryable``: trying again may help."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def diagnostics(self) -> str:
        """The message and the next step, for people."""
        return f"{self.message} {self.hint}".strip()


class InvalidName(AmpwaveError):
    """A name that does not have the allowed shape."""

    def __init__(self, kind: str, given: str, allowed: str) -> None:
        super().__init__(f"{given!r} is not a valid {kind}.", hint=f"Use {allowed}.")


class InvalidInput(AmpwaveError):
    """A value that breaks rules; ``problems`` lists all of them, not only the first."""

    def __init__(self, message: str, problems: Sequence[str] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    def diagnostics(self) -> str:
        """The message, every problem on a line of its own, and the next step."""
        lines = [self.message, *(f"- {problem}" for problem in self.problems), self.hint]
        return "\n".join(line for line in lines if line)


class NotFound(AmpwaveError):
    """No such thing."""

    def __init__(self, kind: str, name: str, *, hint: str = "") -> None:
        super().__init__(f"There is no {kind} {name!r}.", hint=hint)
        self.kind = kind
        self.name = name


class Conflict(AmpwaveError):
    """It is there already, or its state forbids this."""


class StaleVersion(Conflict):
    """Somebody else wrote first: read again, then decide again."""


class EngineUnavailable(AmpwaveError):
    """PostgreSQL or the S3 server did not answer in time."""

    retryable = True
