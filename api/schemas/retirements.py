"""The end of a charger at the door."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from api.schemas.common import Body, Reply, Sentence, Whole
from storage.retirement import Retirement


class RetirementBody(Body):
    """Why a charger ends, and how long it may take to reach it."""

    reason: Sentence
    wait_minutes: Annotated[Whole, Field(ge=0, le=60 * 24 * 90)] = Field(
        default=60 * 24,
        description=(
            "How long it may take to reach it and to let its sessions end. After that it is retired all the"
            " same, and its receipt says what was not wiped. 0: each step is tried once."
        ),
    )


class StepReply(Reply):
    """One step, and the charger's own answers."""

    step: str
    state: str
    detail: str
    at: datetime
    evidence: dict[str, Any]


class RetirementReply(Reply):
    """How far the end of a charger is."""

    charger_id: str
    state: str = Field(examples=["running", "retired", "receipted"])
    actor: str
    reason: str
    requested_at: datetime
    deadline_at: datetime
    waits_for: str
    wiped: str = Field(examples=["wiped", "partly wiped", "unwiped"])
    steps: tuple[StepReply, ...]
    finished_at: datetime | None
    receipt_sha256: str | None = Field(description="Of its signed receipt, once there is one.")

    @classmethod
    def of(cls, found: Retirement) -> "RetirementReply":
        """The reply for a stored one."""
        return cls.model_validate(found)
