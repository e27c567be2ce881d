"""How late this process comes to its work, and when that is reason enough to send nothing new.

An attempt that comes to nothing because we are slow would count against a release. So a node that is late
says so instead of sending, and the shard that asked slows down (``workflows.strain``).
"""

from temporalio import activity

from storage.listening import CLOSELY

HELD = "held back, for our own machines are late: "
LOOP_LATE_S = 1.5
"""Answers of chargers wait as long as the loop does; a command's deadline is about ten times this."""
STARTED_LATE_S = 4.0
"""Half of what an order waits at its node's queue before the node counts as gone."""
UNMARKED_S = CLOSELY.total_seconds()
"""Silence counts against nobody by then (``storage.listening``), so it would never stop a bad release."""


def started_late() -> float:
    """How long the running activity waited until it was begun, by the server's clock."""
    info = activity.info()
    return max(0.0, (info.started_time - info.current_attempt_scheduled_time).total_seconds())


def why_strained(started_late_s: float, loop_late_s: float, unmarked_s: float = 0.0) -> str:
    """Why this node is to send nothing new, or "". Without numbers: a reason that stays is written once."""
    if started_late_s > STARTED_LATE_S:
        return f"{HELD}its node comes late to its orders"
    if loop_late_s > LOOP_LATE_S:
        return f"{HELD}its node comes late to what chargers say"
    if unmarked_s > UNMARKED_S:
        return f"{HELD}its node cannot write down that it listens"
    return ""
