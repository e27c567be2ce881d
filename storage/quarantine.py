"""Quarantine: a charger that looks like an intrusion is set aside until a person has looked (F34).

It keeps its row, its history and its credentials; it has no socket, gets nothing, and counts for no campaign.
"""

from dataclasses import dataclass
from datetime import datetime

ALLOWED = {
    "connect": False,
    "be sent a command": False,
    "be a target of a campaign": False,
    "be given a certificate or a password": False,
    "be looked at: twin, timeline, doubts": True,
    "have a doubt accepted by a person": True,
    "be released once nothing critical is open": True,
    "be retired": True,
}
"""What may still happen to a charger that is set aside."""


@dataclass(frozen=True, slots=True)
class QuarantineAct:
    """A person sets a charger aside, or takes it back."""

    charger_id: str
    actor: str
    reason: str
    at: datetime
