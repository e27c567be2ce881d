"""Our own absence: an attempt's deadline counts only time in which somebody of ours listened. Pure.

A charger can tell nothing while no node of ours listens, so its silence then says nothing of it, and neither
does that it is not back yet when we have only just returned. What is measured are the stored breaks
(``storage.listening``), so anybody can work a deadline out again. No data is never a pass: more time is all
that an absence gives.

- The deadline moves on by each break, so an attempt always has as long as its plan says, by our ears.
- After a break the charger has at least the grace to connect again: ``RECONNECT_S``, or as long as an attempt
  may take where that is less, and where it has to stay up as long as that on top.
- Bounded: the grace is granted for ``MOST_GRACES`` breaks, and nobody looks on for longer than ``MOST_WAIT``
  (or one such attempt) after the plan's own deadline. If there was none as long since the last break by
  then, the attempt ends as not decided: neither success nor failure, and its gate waits for a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from storage.listening import Break

RECONNECT_S = 900.0
"""A charger that lost its connection tries again after pauses that double (OCPP 2.0.1 Part 4, Reconnecting:
RetryBackOffWaitMinimum, RetryBackOffRepeatTimes): half a minute doubled four times is eight minutes, with
chance on top; 1.6 leaves it to the maker."""
MOST_GRACES = 3
MOST_WAIT = timedelta(days=1)


class Say(StrEnum):
    """What becomes of an attempt whose planned deadline is over."""

    DUE = "due"
    """It is judged as any other."""
    LATER = "later"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Term:
    """How long an attempt may take by its plan."""

    since: datetime
    seconds: float
    steady_seconds: float | None = None

    @property
    def planned(self) -> datetime:
        """Its deadline if somebody listens all the time."""
        return self.since + timedelta(seconds=self.seconds)

    @property
    def grace(self) -> timedelta:
        """So long a charger has to come back, and to stay up where it has to, once somebody listens again."""
        return timedelta(seconds=min(RECONNECT_S, self.seconds) + (self.steady_seconds or 0.0))

    @property
    def longest(self) -> timedelta:
        """So long is looked on at most after the planned deadline."""
        return max(MOST_WAIT, timedelta(seconds=self.seconds) + MOST_GRACES * self.grace)


@dataclass(frozen=True, slots=True)
class Patience:
    """What our absence means for one attempt."""

    say: Say
    deadline: datetime
    reason: str = ""
    """In words, for people; "": we were there all the time."""


def deadline_of(term: Term, breaks: Sequence[Break], now: datetime) -> datetime:
    """The planned deadline, moved on by every break so far."""
    deadline, graces = term.planned, 0
    for each in breaks:
        ended = each.ends(now)
        deadline += ended - each.since
        if deadline < ended + term.grace and graces < MOST_GRACES:
            deadline, graces = ended + term.grace, graces + 1
    return deadline


def patience(term: Term, breaks: Sequence[Break], looking_since: datetime, now: datetime) -> Patience:
    """The judgement at or after the planned deadline. ``looking_since``: of our first look after it."""
    deadline = deadline_of(term, breaks, now)
    if not breaks:
        return Patience(Say.DUE, deadline)
    if now - breaks[-1].ends(now) < term.grace and (now >= deadline or now - looking_since >= term.longest):
        return Patience(Say.UNDECIDED, deadline, _undecided(term, breaks, now))
    if now < deadline:
        return Patience(Say.LATER, deadline, _later(term, breaks, deadline, now))
    return Patience(Say.DUE, deadline, f"{_lost(breaks, now)}, which is not counted")


def _undecided(term: Term, breaks: Sequence[Break], now: datetime) -> str:
    return (
        f"not decided: {_lost(breaks, now)}, and since then it has not had {_span(term.grace)} to come back, "
        "so nobody knows what became of it; look at it, and update it by another campaign"
    )


def _later(term: Term, breaks: Sequence[Break], deadline: datetime, now: datetime) -> str:
    last = breaks[-1]
    if last.until is None:
        since, grace = _clock(last.since), _span(term.grace)
        told = f"no node of ours has listened to chargers since {since}"
        return f"{told}; it is not judged before one has for {grace}"
    return f"{_lost(breaks, now)}; that is not counted, and it has until {_clock(deadline)}"


def _lost(breaks: Sequence[Break], now: datetime) -> str:
    """How long we were away, and when the last time."""
    lost = sum((each.ends(now) - each.since for each in breaks), timedelta())
    last = breaks[-1]
    until = "now" if last.until is None else _clock(last.until)
    times = "" if len(breaks) == 1 else f" in {len(breaks)} breaks, the last"
    when = f"{times} from {_clock(last.since)} to {until}"
    return f"no node of ours listened to chargers for {_span(lost)}{when}"


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _span(time: timedelta) -> str:
    seconds = time.total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
