"""Is a charger's clock right? Judged from the times in its messages against ours (F102).

A time that lies in the past may be that of a message which waited in a queue, so it accuses the clock
only where the message is live. A time in our future, or from before OCPP 1.6, cannot be explained so.
"""

from datetime import UTC, datetime, timedelta

from csms.dialect import Observed
from storage.events import ClockDriftChanged, ConnectorStatusChanged

NEVER_SET = datetime(2015, 1, 1, tzinfo=UTC)
"""Before OCPP 1.6 was published: a clock that was not set since its battery ran down, often in 1970."""
SETTLED_S = 60.0
"""So long after it connected a charger has sent the statuses that it had queued."""


def believed(at: datetime | None, received_at: datetime, bound_s: float) -> datetime:
    """When it happened: the charger's time, or ours where it has none or one that is yet to come.

    Of a clock that was never set, ``csms.quirks`` takes no time at all.
    """
    if at is None or at > received_at + timedelta(seconds=bound_s):
        return received_at
    return at


class ClockWatch:
    """Follows one session; speaks when the clock begins to look wrong, and when it is right again."""

    def __init__(self, bound_s: float, began_at: datetime, *, suspicious: bool = False) -> None:
        """``suspicious``: what is known from earlier sessions, so that an episode is told once."""
        self._bound_s = bound_s
        self._began_at = began_at
        self._suspicious = suspicious

    def judge(self, observed: Observed, received_at: datetime) -> ClockDriftChanged | None:
        """What this message tells of the clock, if it is news."""
        if observed.at is None:
            return None
        skew_s = (received_at - observed.at).total_seconds()
        if abs(skew_s) <= self._bound_s:
            suspicious = False
        elif skew_s < 0 or observed.at < NEVER_SET or self._is_live(observed, received_at):
            suspicious = True
        else:
            return None
        if suspicious == self._suspicious:
            return None
        self._suspicious = suspicious
        return ClockDriftChanged(round(skew_s, 1), suspicious)

    def _is_live(self, observed: Observed, received_at: datetime) -> bool:
        # Of what a charger queues while it is offline, 1.6 does not say so; it queues no statuses.
        settled = (received_at - self._began_at).total_seconds() >= SETTLED_S
        return settled and isinstance(observed.event, ConnectorStatusChanged)
