"""What an operator must see of a step that sends nothing: counted, logged, and told apart from waiting."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

log = structlog.get_logger(__name__)

REPEAT = timedelta(minutes=5)
"""A node that cannot read metadata says so to every charger's dispatch; it is written down this often."""


def _uncounted(_: str) -> None:
    return None


@dataclass(slots=True)
class DispatchAlarms:
    """The alarms of one node. ``count`` takes the reason: the class of the error, never a charger's words."""

    count: Callable[[str], None] = _uncounted
    _told: dict[str, datetime] = field(default_factory=dict)

    def refused(self, kind: str, charger_id: str, detail: str) -> None:
        """A proof did not hold for one charger."""
        self.count(kind)
        log.error("a dispatch was refused", kind=kind, charger_id=charger_id, detail=detail)

    def blind(self, kind: str, detail: str, now: datetime) -> bool:
        """The node has no fresh metadata; whether that is to be written down now."""
        self.count(kind)
        before = self._told.get(kind)
        if before is not None and abs(now - before) < REPEAT:
            return False
        self._told[kind] = now
        log.error("this node dispatches nothing", kind=kind, detail=detail)
        return True
