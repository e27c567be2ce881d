"""Incidents: what a person should know of, one for each subject and kind while it lasts."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class IncidentKind(StrEnum):
    """What can be wrong."""

    SESSION_STUCK = "session_stuck"
    ENERGY_DISCREPANCY = "energy_discrepancy"
    SITE_OUTAGE = "site_outage"
    WATCHDOG_BLIND = "watchdog_blind"
    """The synthetic silent charger was not found in time: the health system itself is not to be trusted."""
    AUDIT_BROKEN = "audit_broken"
    """The audit log does not follow from what was signed of it before."""
    HALTED = "halted"
    """Somebody broke the glass: a release is withdrawn, or everything stands."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Opened once, however often it is found again; closed once. ``subject`` is like ``site/depot``."""

    incident_id: int
    kind: IncidentKind
    subject: str
    summary: str
    opened_at: datetime
    closed_at: datetime | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """Open, or close, the incident of a kind at a subject; neither twice."""

    kind: IncidentKind
    subject: str
    at: datetime
    summary: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    close: bool = False
