"""The journal's partitions: which there must be, and which have had their time. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2020, 1, 6, tzinfo=UTC)
"""A Monday, so that partitions of seven days are weeks."""
_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class JournalRule:
    """How the journal is cut, and how long it is kept."""

    partition_days: int = 1
    ahead_days: int = 7
    """How far ahead partitions are made: as long as this, housekeeping may stand still and nobody notices."""
    kept_days: int = 30
    """A frame is kept at least so long; its partition goes when the youngest frame in it is older."""


@dataclass(frozen=True, slots=True)
class Span:
    """The frames of one partition: from ``start``, before ``end``. None: no limit on that side."""

    start: datetime | None
    end: datetime | None

    def overlaps(self, other: "Span") -> bool:
        """Whether a frame could belong to both."""
        starts_before = other.end is None or self.start is None or self.start < other.end
        return starts_before and (self.end is None or other.start is None or other.start < self.end)


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition that is there."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class JournalRound:
    """What one round of housekeeping did with the journal."""

    made: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    put_off: tuple[str, ...] = ()
    """What could not be done without making the ingest wait; the next round tries again."""


def wanted(there: Sequence[Partition], rule: JournalRule, now: datetime) -> Iterator[Span]:
    """The partitions to make, oldest first: whole spans from today on that no partition reaches into."""
    width = timedelta(days=rule.partition_days)
    start = _EPOCH + (now - _EPOCH) // width * width
    while start <= now + timedelta(days=rule.ahead_days):
        span = Span(start, start + width)
        if not any(span.overlaps(partition.span) for partition in there):
            yield span
        start += width


def outlived(there: Sequence[Partition], rule: JournalRule, now: datetime) -> Iterator[Partition]:
    """The partitions whose every frame is older than is kept, oldest first."""
    limit = keep_from(rule, now)
    ordered = sorted(there, key=lambda partition: partition.span.start or _ALWAYS)
    return (
        partition for partition in ordered if partition.span.end is not None and partition.span.end <= limit
    )


def keep_from(rule: JournalRule, now: datetime) -> datetime:
    """Frames from this instant on are kept."""
    return now - timedelta(days=rule.kept_days)
