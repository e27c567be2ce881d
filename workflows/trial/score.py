"""Many campaigns in a few numbers, each with what is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from workflows.trial.campaign import Ending, Outcome

_Z = 1.96


@dataclass(frozen=True, slots=True)
class Wilson:
    """A share of campaigns, with the 95 % interval of Wilson."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        """The share itself."""
        return self.hits / self.of if self.of else 0.0

    @property
    def low(self) -> float:
        """It is hardly below."""
        return max(0.0, self._middle() - self._half())

    @property
    def high(self) -> float:
        """It is hardly above."""
        return min(1.0, self._middle() + self._half()) if self.of else 1.0

    def _middle(self) -> float:
        return (self.share + _Z * _Z / (2 * self.of)) / (1 + _Z * _Z / self.of) if self.of else 0.0

    def _half(self) -> float:
        if not self.of:
            return 0.0
        spread = self.share * (1 - self.share) / self.of + _Z * _Z / (4 * self.of * self.of)
        return _Z * sqrt(spread) / (1 + _Z * _Z / self.of)


@dataclass(frozen=True, slots=True)
class Score:
    """One rule against one kind of release."""

    campaigns: int
    stopped: Wilson
    asked: Wilson
    """Campaigns in which a person was asked at least once."""
    given_up: Wilson
    harmed: float
    """Chargers, on average."""
    hours: float
    """To the end of the campaign, on average."""
    hours_to_stop: float | None
    """Of those that were stopped, the median."""


def score(outcomes: Sequence[Outcome]) -> Score:
    """The numbers of some campaigns."""
    count = len(outcomes)
    stops = sorted(one.hours for one in outcomes if one.ending is Ending.STOPPED)
    return Score(
        campaigns=count,
        stopped=Wilson(len(stops), count),
        asked=Wilson(sum(one.asked > 0 for one in outcomes), count),
        given_up=Wilson(sum(one.ending is Ending.GIVEN_UP for one in outcomes), count),
        harmed=sum(one.harmed for one in outcomes) / count if count else 0.0,
        hours=sum(one.hours for one in outcomes) / count if count else 0.0,
        hours_to_stop=stops[len(stops) // 2] if stops else None,
    )
