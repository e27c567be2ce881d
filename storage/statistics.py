"""What the database holds, in numbers. Values only."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PartitionStatistics:
    """One partition of a table that is cut by time."""

    name: str
    rows: int
    bytes: int
    oldest: datetime | None = None
    """Where it begins; None: it catches what fits no other."""


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """One table with its indexes and everything else that it takes on disk."""

    name: str
    rows: int
    exact: bool
    """Whether they were counted; else they are what PostgreSQL estimates."""
    bytes: int
    oldest: datetime | None = None
    """The time of its oldest row, where its rows have one that is quickly found."""
    partitions: tuple[PartitionStatistics, ...] = ()
