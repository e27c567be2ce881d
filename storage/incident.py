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
    BLOB_CORRUPT = "blob_corrupt"
    """The bytes of a stored image are not what was signed, or are gone."""
    UPDATE_DEPARTURE = "update_departure"
    """After an update a charger is not what it was in the days before (F31)."""
    UPDATE_FELL_BACK = "update_fell_back"
    """A charger restarted after its update and runs what it ran before: the update's doing, nobody's."""
    SETTINGS_NOT_KEPT = "settings_not_kept"
    """A charger that counts as updated is not set as it was, or nobody could find out (X9)."""
    WATCHDOG_BLIND = "watchdog_blind"
    """The synthetic silent charger was not found in time: the health system itself is not to be trusted."""
    AUDIT_BROKEN = "audit_broken"
    """The audit log does not follow from what was signed of it before."""
    HALTED = "halted"
    """Somebody broke the glass: everything stands."""
    METADATA_EXPIRING = "metadata_expiring"
    """Signed metadata runs out soon, or has: once it has, nothing is sent."""
    METADATA_UNREADABLE = "metadata_unreadable"
    """Signed metadata cannot be read or does not hold: nothing is sent."""
    CERTIFICATE_ENDING = "certificate_ending"
    """A charger's certificate ends soon and is not renewed, or has ended: it may not come back then."""
    WEBHOOK_FAILING = "webhook_failing"
    """A webhook has not taken its notices for long, or wants none any more; they wait."""
    SUSPECTED_INTRUSION = "suspected_intrusion"
    """A charger is not what our records say, in a way that looks like somebody's doing (F34)."""


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
    closed_by: str | None = None
    """Who closed it by hand; None: it is open, or what it was about ended."""
    close_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """A person ends an incident."""

    incident_id: int
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """Open, or close, the incident of a kind at a subject; neither twice."""

    kind: IncidentKind
    subject: str
    at: datetime
    summary: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    close: bool = False
