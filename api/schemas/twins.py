"""Desired sections, drift and anomalies at the door."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.common import Body, Reply, Sentence
from storage.desired import Ack, AckStatus, DesiredSection
from storage.drift import DriftState
from storage.past import PastTwin
from storage.twin import TwinState
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
    reason: str = Field(description="How it ended; of an open one how it came about, where that is known.")


class PastReply(Reply):
    """A twin as it was."""

    charger_id: str
    revision: int
    received_at: datetime | None = Field(description="When this revision came about; null before the first.")
    twin: TwinState
    desired: dict[str, Any] = Field(description="Desired sections by name.")
    late: tuple[int, ...] = Field(
        description="With `true_at`: events that came in later and are put in their place here."
    )

    @classmethod
    def of(cls, past: PastTwin) -> "PastReply":
        """The reply for a twin of the past."""
        return cls(
            charger_id=past.twin.charger_id,
            revision=past.twin.revision,
            received_at=past.received_at,
            twin=past.twin,
            desired=past.desired,
            late=past.late,
        )


class OriginReply(Reply):
    """Where a value of a twin comes from."""

    charger_id: str
    path: str
    value: Any
    revision: int
    side: str
    actor: str
    cause: str
    observed_at: datetime
    received_at: datetime
    event: dict[str, Any] | None = Field(description="Kind and body, where an event was the cause.")
    frames: tuple[str, ...] = Field(description="The raw frames as they passed, secrets redacted.")


class RebuiltReply(Reply):
    """A twin made anew from its stored events, held against the one in use."""

    charger_id: str
    same: bool
    events: int
    changes: int = Field(description="Revisions that the events make.")
    recorded: int = Field(
        description="Revisions by events that the history has; both since the last repair, if there was one."
    )
    differing: tuple[str, ...] = Field(description="Sections that are not the same, byte for byte.")


class RepairBody(Body):
    """Why a twin is to become what its events make of it."""

    reason: Sentence


class RepairedReply(Reply):
    """What a repair wrote anew."""

    charger_id: str
    revision: int = Field(description="Of the twin now.")
    repaired: tuple[str, ...] = Field(description="Sections; empty: none was wrong.")


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
