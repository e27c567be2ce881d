"""How long an hour of health lasts: what counts are kept by, and what policies mean by an hour.

It is an hour, but where a rehearsal or the demo lives through days in minutes: there a policy's 24 hours are
24 of the shorter ones, in every place alike.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS = 3600


@dataclass(frozen=True, slots=True)
class HealthTime:
    """Whole hours of health, counted from 1970 by the server's clock."""

    seconds: int = SECONDS
    """Of one hour; a divisor of 3600, so that a real hour begins with an hour of health."""

    @property
    def hour(self) -> timedelta:
        """One of them."""
        return timedelta(seconds=self.seconds)

    @property
    def scale(self) -> float:
        """Of a real hour."""
        return self.seconds / SECONDS

    def span(self, hours: float) -> timedelta:
        """So many of them."""
        return hours * self.hour

    def begin(self, at: datetime) -> datetime:
        """The beginning of the hour that an instant falls into."""
        return _EPOCH + (at - _EPOCH) // self.hour * self.hour

    def next(self, at: datetime) -> datetime:
        """The first beginning of an hour that is not before the instant."""
        begin = self.begin(at)
        return begin if begin == at else begin + self.hour

    def whole(self, since: datetime, until: datetime) -> int:
        """How many whole ones fit in between; none where it ends before it begins."""
        return max(0, (until - since) // self.hour)

    def minute(self, at: datetime) -> int:
        """Which of its sixty minutes an instant falls into."""
        return self.minute_of(self.begin(at), at)

    def minute_of(self, begin: datetime, at: datetime) -> int:
        """The same where the hour's beginning is known."""
        return (at - begin) * 60 // self.hour


REAL = HealthTime()
