"""Whether and when an attempt that failed is repeated: by its cause, less and less often (R25, R26). Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from storage.campaign import Pace
from workflows.messages import Mark

LONGEST = timedelta(hours=6)
"""No pause between two attempts is longer than this, unless the plan's own is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one cause is treated."""

    growth: float
    """Each further pause is so many times as long as the one before."""
    most: int
    """Attempts in all, if the plan allows as many."""


RULES: dict[Mark, Rule] = {
    # The network or its storage: patience helps.
    Mark.FETCH: Rule(growth=2.0, most=99),
    # Somebody or something there says no for now; asking often annoys.
    Mark.REFUSED: Rule(growth=3.0, most=99),
    # It wrote the image and failed: twice the same image on the same hardware fails a third time.
    Mark.INSTALL: Rule(growth=2.0, most=2),
    # It never said what is wrong.
    Mark.OVERDUE: Rule(growth=2.0, most=3),
}
OTHER = Rule(growth=2.0, most=2)


def rule_of(marks: Collection[Mark]) -> Rule:
    """The rule of the cause among these marks; the strictest where none is named."""
    return next((rule for cause, rule in RULES.items() if cause in marks), OTHER)


def pause_before(attempt: int, marks: Collection[Mark], pace: Pace) -> timedelta:
    """How long to wait before this attempt (2 is the first repetition), after an end with these marks."""
    first = timedelta(seconds=pace.retry_backoff_seconds)
    grown = first.total_seconds() * rule_of(marks).growth ** max(0, min(attempt - 2, 30))
    return max(first, min(timedelta(seconds=min(grown, LONGEST.total_seconds())), LONGEST))


def is_last(attempt: int, former: Collection[Mark], pace: Pace) -> bool:
    """Whether nothing follows this attempt; ``former``: the marks of the one before it."""
    most = pace.max_attempts if attempt == 1 else min(pace.max_attempts, rule_of(former).most)
    return attempt >= most
