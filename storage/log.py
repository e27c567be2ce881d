"""Logs that chargers upload on request: the request, the leave to upload, and what arrived."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LogState(StrEnum):
    """Where a request for a log is. All but the first two are ends."""

    REQUESTED = "requested"
    ASKED = "asked"
    """The charger accepted it, or may have; its upload is awaited."""
    UPLOADED = "uploaded"
    FAILED = "failed"
    """The charger refused it or could not upload it."""
    OFFLINE = "offline"
    """It is not connected; nothing was sent."""
    UNSUPPORTED = "unsupported"
    """This charger cannot upload such a log."""
    OVERDUE = "overdue"
    """Nothing arrived in time."""


LOG_OPEN = frozenset({LogState.REQUESTED, LogState.ASKED})


class LogSort(StrEnum):
    """What may be asked for."""

    DIAGNOSTICS = "diagnostics"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class LogUpload:
    """What arrived, as it was read from the wire."""

    request_id: int
    object_key: str
    filename: str
    length: int
    sha256: str
    received_at: datetime
    removed_at: datetime | None = None
    """When its bytes had had their time; what else is here stays."""


LOG_PREFIX = "logs/"
"""Of the keys of uploaded logs in the object store."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """One log of one charger that somebody asked for."""

    request_id: int
    """OCPP's, unique for ever."""
    charger_id: str
    kind: LogSort
    actor: str
    requested_at: datetime
    deadline_at: datetime
    since: datetime | None = None
    until: datetime | None = None
    request_key: str | None = None
    """Unique: the same key is the same request."""
    state: LogState = LogState.REQUESTED
    reason: str = ""
    finished_at: datetime | None = None
    upload: LogUpload | None = None


@dataclass(frozen=True, slots=True)
class UploadTicket:
    """Leave to upload one log: bound to charger, request and window; only its hash is stored (S43)."""

    ticket_sha256: str
    charger_id: str
    request_id: int
    not_before: datetime
    expires_at: datetime
    revoked: bool = False
