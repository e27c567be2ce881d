"""What to do about a charger that counts as updated and was never compared, as a table. Pure (X9).

Nobody on whom somebody works is among them (``KeptStore.owed``). The first row
that holds decides. None changes what the charger counts as, and none sends an update.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from activities.late_settings import LateFacts

PAUSES = (timedelta(minutes=15), timedelta(hours=1), timedelta(minutes=15))
"""After each time that it was asked in vain; after the last one it is given up."""
FOLLOWED = timedelta(days=14)
"""So long it may be away, or busy. The journal, which tells what people set since, goes back further."""


class LateStep(StrEnum):
    """What is done about it now."""

    COMPARE = "compare"
    WAIT = "wait"
    """Nothing is written: the next round looks again."""
    FORGET = "forget"
    """There never was anything to compare."""
    END = "end"
    """There is nothing to compare any more."""
    GIVE_UP = "give_up"
    """A person is told that nobody could."""


@dataclass(frozen=True, slots=True)
class LateVerdict:
    """The step and why, in words that end the reason of its target."""

    step: LateStep
    words: str = ""


Row = Callable[[LateFacts, datetime], LateVerdict | None]


def judge_late(facts: LateFacts, now: datetime) -> LateVerdict:
    """The first row that says something; none: it is compared."""
    said = (row(facts, now) for row in ROWS)
    return next((verdict for verdict in said if verdict is not None), LateVerdict(LateStep.COMPARE))


def pause_after(tries: int) -> timedelta:
    """How long one is left alone after so many tries."""
    return PAUSES[min(tries, len(PAUSES)) - 1]


def _never_sent(facts: LateFacts, _now: datetime) -> LateVerdict | None:
    return None if facts.owed.sent else LateVerdict(LateStep.FORGET)


def _out_of_service(facts: LateFacts, _now: datetime) -> LateVerdict | None:
    """Who takes it through provisioning or retires it sets it up anew, or wipes it."""
    if facts.in_service:
        return None
    return LateVerdict(LateStep.END, f"its settings were not compared: it is {facts.lifecycle} by now")


def _other_version(facts: LateFacts, _now: datetime) -> LateVerdict | None:
    if facts.runs in (None, facts.owed.version):
        return None
    return LateVerdict(LateStep.END, f"its settings were not compared: it runs {facts.runs} by now")


def _asked_enough(facts: LateFacts, _now: datetime) -> LateVerdict | None:
    tries = facts.owed.tries
    if tries < len(PAUSES):
        return None
    why = f"it was asked {tries} times, and did not tell all that was noted"
    return LateVerdict(LateStep.GIVE_UP, f"its settings could not be compared: {why}")


def _too_long(facts: LateFacts, now: datetime) -> LateVerdict | None:
    if now - facts.owed.since <= FOLLOWED:
        return None
    days = FOLLOWED.days
    why = f"its settings could not be compared: in {days} days it was never there to be asked in peace"
    return LateVerdict(LateStep.GIVE_UP, why)


def _pauses(facts: LateFacts, now: datetime) -> LateVerdict | None:
    again = facts.owed.next_at
    return LateVerdict(LateStep.WAIT, "it was asked a moment ago") if again and again > now else None


def _unread(facts: LateFacts, _now: datetime) -> LateVerdict | None:
    return LateVerdict(LateStep.WAIT, "its version is not read") if facts.runs is None else None


def _away(facts: LateFacts, _now: datetime) -> LateVerdict | None:
    return LateVerdict(LateStep.WAIT, "it is offline") if facts.route is None else None


def _busy(facts: LateFacts, _now: datetime) -> LateVerdict | None:
    return LateVerdict(LateStep.WAIT, facts.busy) if facts.busy else None


ROWS: tuple[Row, ...] = (
    _never_sent,
    _out_of_service,
    _other_version,
    _pauses,
    _asked_enough,
    _too_long,
    _unread,
    _away,
    _busy,
)
