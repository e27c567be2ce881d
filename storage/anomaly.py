"""What a charger reported that does not belong into its twin, or contradicts what is known of others."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One kind of anomaly at one place, however often it came."""

    charger_id: str
    kind: str
    """``outside_schema``, ``too_large``, ``identity_changed``, ``serial_elsewhere``."""
    path: str
    reason: str
    cause: str
    """``event/{sequence}`` of the latest one."""
    first_seen: datetime
    last_seen: datetime
    times: int
