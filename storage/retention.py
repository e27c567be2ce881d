"""How long each class of stored things is kept, and what came of a round of removing the rest (F107).

``storage.postgres.shelves`` is the one table of classes: where each lies, by what time it ages, and what of
it is never removed however old it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Days by class; a class that is not named is kept for ever."""

    days: Mapping[str, int] = field(default_factory=dict)
    dispute_days: int = 400
    """What a session was billed by is kept so long after it came in, whatever its class says."""

    def cut(self, name: str, now: datetime) -> datetime | None:
        """What is older may go; None: nothing of it may."""
        days = self.days.get(name)
        return None if days is None else now - timedelta(days=days)

    def dispute_cut(self, now: datetime) -> datetime:
        """What is older is no longer in dispute."""
        return now - timedelta(days=self.dispute_days)


@dataclass(frozen=True, slots=True)
class ClassSize:
    """What a class costs. ``rows`` is the server's own estimate until somebody counts."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ClassSurvey:
    """A class counted, and what a round of removing would do to it."""

    name: str
    what: str
    rows: int
    bytes: int
    kept_days: int | None
    """None: for ever."""
    outlived: int
    """Rows that would go."""
    held: Mapping[str, int]
    """Rows that are old enough and stay, by what needs them. A row may be needed twice."""


class RetentionStore(Protocol):
    """What is stored, as a whole."""

    async def sizes(self) -> Sequence[ClassSize]:
        """Rows and bytes by class, cheaply: for metrics."""

    async def survey(self, policy: RetentionPolicy, now: datetime) -> Sequence[ClassSurvey]:
        """Count everything. Removes nothing; may take minutes on a large database."""

    async def remove(self, policy: RetentionPolicy, now: datetime, *, seconds: float) -> Mapping[str, int]:
        """Remove what had its time, in small pieces, for about so long; rows by class.

        Safe to repeat, to break off, and from two processes at once.
        """
