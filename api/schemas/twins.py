"""Desired sections, drift and anomalies at the door."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.common import Reply
from storage.desired import Ack, AckStatus, DesiredSection
from storage.drift import DriftState
from storage.twin_schema import Severity


class DesiredReply(Reply):
    """What is desired of one section, and what the charger said to it."""

    charger_id: str
    section: str
    version: int = Field(description="0: nothing was ever desired. Also the ETag.")
    desired: dict[str, Any]
    acked_version: int | None = Field(description="The latest version with an answer to every value.")
    ack_status: AckStatus | None = Field(
        description="Of the whole section; null: something has no answer yet, or nothing is desired."
    )
    acks: dict[str, Ack] = Field(description="The charger's answer to each value, by path.")

    @classmethod
    def of(cls, section: DesiredSection) -> "DesiredReply":
        """The reply for a section."""
        return cls.model_validate(section)


class DesiredSections(Reply):
    """All desired sections of a charger."""

    charger_id: str
    read_at: datetime
    sections: tuple[DesiredReply, ...]


class DriftReply(Reply):
    """One value that left what is desired of it."""

    charger_id: str
    path: str
    severity: Severity
    state: DriftState
    desired: Any
    reported: Any
    desired_version: int
    first_seen: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    differing_s: float = Field(description="Seconds online for which it differed before it opened.")
    suspicion: str = Field(description="Why it may be an intrusion; empty: it need not be.")
    reason: str = Field(description="How it ended.")


class AnomalyReply(Reply):
    """Something reported that was kept out of the twin, however often it came."""

    charger_id: str
    kind: str
    path: str
    reason: str
    cause: str = Field(description="The event of the latest one: `event/{sequence}`.")
    first_seen: datetime
    last_seen: datetime
    times: int
