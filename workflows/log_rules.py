"""What became of a request for a log. Pure: facts in, a judgement out.

Only what arrived here is success; what the charger says of it may decide failure.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from activities.logs import LogFacts
from storage.log import LogState
from storage.reports import LOG_FAILURES, LogStatus

FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 30.0


@dataclass(frozen=True, slots=True)
class LogVerdict:
    """The end of a request."""

    state: LogState
    reason: str


def judge_log(facts: LogFacts, now: datetime, deadline: datetime, patience: timedelta) -> LogVerdict | None:
    """The end that the facts allow, or None: keep waiting.

    A charger that reports a failure may still try again by itself, so it gets ``patience`` for that.
    """
    if facts.uploaded:
        return LogVerdict(LogState.UPLOADED, "it arrived")
    if facts.status in LOG_FAILURES and _is_final(facts, now, patience):
        return LogVerdict(LogState.FAILED, f"it reported {facts.status}")
    if now < deadline:
        return None
    if facts.status is LogStatus.UPLOADED:
        return LogVerdict(LogState.OVERDUE, "it says that it uploaded it, but nothing arrived here")
    if facts.status is not None:
        return LogVerdict(LogState.OVERDUE, f"nothing arrived in time; last it reported {facts.status}")
    return LogVerdict(LogState.OVERDUE, "nothing arrived in time, and it reported nothing")


def _is_final(facts: LogFacts, now: datetime, patience: timedelta) -> bool:
    # OCPP 2.0.1 N01: the other failures mean that it never began.
    if facts.status is not LogStatus.UPLOAD_FAILURE or facts.status_at is None:
        return True
    return now >= facts.status_at + patience


def next_pause(pause_s: float) -> float:
    """How long to wait before the next look."""
    return min(pause_s * 2, LONGEST_PAUSE_S)
