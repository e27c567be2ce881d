"""Signals and updates by name, and what they carry. Signals are hints: PostgreSQL has the truth."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

CHARGER_EVENT = "charger_event"
"""To ``charger/{charger_id}``: an event that its lease waits for was committed."""

RECALL = "recall"
"""To ``charger/{charger_id}``: somebody wants the update back that is under way."""

LOG_ARRIVED = "log_arrived"
"""To ``log/{charger_id}/{request_id}``: the upload was taken in."""

SET_PAUSED = "set_paused"
STOP = "stop"
SHARD_FAILED = "shard_failed"
SHARD_CURED = "shard_cured"
CHARGER_SPOILT = "charger_spoilt"
"""To a wave, and from it to a shard that counts for itself: who counted was found otherwise since."""


@dataclass(frozen=True, slots=True)
class ChargerSignal:
    """One committed event of a charger under maintenance, and the session it came over."""

    sequence: int
    kind: str
    body: dict[str, Any] = field(default_factory=dict)
    received_at: datetime | None = None
    node_id: str = ""
    boot_id: str = ""
    session_epoch: int = 0


_WHO = frozenset({"vendor", "model", "serial_number", "modem"})


def hinted(body: dict[str, Any]) -> dict[str, Any]:
    """What of an event's body a hint carries: not who the charger is, its SIM card least of all.

    The workflow knows it by its id, and bytes and personal data stay out of histories.
    """
    return {key: value for key, value in body.items() if key not in _WHO}


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Start nothing more; what was sent is awaited to its end."""

    reason: str


@dataclass(frozen=True, slots=True)
class Recall:
    """Which attempt is called back, and why."""

    campaign_id: str
    wave: int
    reason: str


@dataclass(frozen=True, slots=True)
class PersonRequest:
    """What a person asks of a campaign, and why."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AbortRequest:
    """Stop the campaign; with ``rollback`` also take updated chargers back."""

    actor: str
    reason: str
    rollback: bool = False


@dataclass(frozen=True, slots=True)
class ExtendRequest:
    """Give the campaign a later end."""

    ends_at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class SkipRequest:
    """Take one charger out of the campaign."""

    charger_id: str
    actor: str
    reason: str
