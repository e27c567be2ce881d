"""What to do about a session in doubt, by what asking its charger brought to light. Pure (F84).

A session is never cut: this only decides when we stop believing in one whose end was never told. What
its charger says of it decides at once; what its connectors show, only when it was asked twice. If nothing
settles it, it goes on counting as a session and a person is told.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from storage.findings import SessionFinding


@dataclass(frozen=True, slots=True)
class SessionWatchPolicy:
    """How patient the watchdog is."""

    quiet: timedelta = timedelta(minutes=15)
    """Nothing heard of a session for so long, or its connector Available for so long: it is asked about."""
    again_after: timedelta = timedelta(minutes=4)
    stuck_after: timedelta = timedelta(hours=2)
    """In doubt for so long, and nothing settles it: a person is told."""
    times: int = 2
    """How often it is asked before connectors are believed."""
    answer_seconds: float = 10.0
    """How long a triggered message may take."""
    at_once: int = 50


class Resolution(StrEnum):
    """What is done."""

    KEEP = "keep"
    ABANDON = "abandon"
    TELL = "tell"
    """Tell a person; it stays a session."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is known of a session in doubt after it was asked about."""

    finding: SessionFinding
    asked: int
    """How often, this time included."""
    doubtful_since: datetime
    told: bool = False
    """A person was told already."""


_REASONS = {
    SessionFinding.GONE: "its charger does not have it any more",
    SessionFinding.FREE: "its connectors are Available, and nothing was heard of it when it was asked about",
    SessionFinding.DISPLACED: "a later session began on its EVSE, and nothing was heard of this one",
}


def resolve(inquiry: Inquiry, policy: SessionWatchPolicy, now: datetime) -> tuple[Resolution, str]:
    """What to do, and why in words."""
    finding = inquiry.finding
    if finding is SessionFinding.ONGOING:
        return Resolution.KEEP, "it goes on"
    if finding is SessionFinding.GONE or (finding in _REASONS and inquiry.asked >= policy.times):
        return Resolution.ABANDON, _REASONS[finding]
    late = now - inquiry.doubtful_since >= policy.stuck_after
    if late and inquiry.asked >= policy.times and not inquiry.told:
        return Resolution.TELL, f"asked {inquiry.asked} times, and nothing settles whether it goes on"
    return Resolution.KEEP, "not settled yet"
