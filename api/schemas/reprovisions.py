"""Provisioning a charger anew, at the door."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from api.schemas.common import Body, Label, Reply, Sentence, Slug, Whole
from storage.reprovision import Reprovision, ReprovisionMode, ReprovisionState
from storage.retirement import Step, StepState

_Values = Annotated[dict[Label, Annotated[str, Field(max_length=500)]], Field(max_length=100)]


class ReprovisionBody(Body):
    """How it goes through provisioning again."""

    mode: ReprovisionMode = Field(
        description="`keep` what it has; `reset`: it has to forget first; `quarantine`: set aside at once."
    )
    reason: Sentence
    template: Slug | None = Field(default=None, description="What it is set to on its way in.")
    parameters: _Values = Field(default_factory=dict)
    profile: Whole = Field(default=1, ge=1, le=3, description="Lowest security profile to be active with.")
    wait_minutes: Whole = Field(
        default=60, ge=0, le=60 * 24 * 30, description="How long it may take to be free, and reached."
    )


class ForgottenReply(Reply):
    """What it said to one step."""

    step: Step
    state: StepState
    detail: str
    at: datetime
    evidence: dict[str, Any]


class ReprovisionReply(Reply):
    """One charger that goes through provisioning again."""

    reprovision_id: str
    charger_id: str
    mode: ReprovisionMode
    actor: str
    reason: str
    requested_at: datetime
    deadline_at: datetime
    template: str | None
    parameters: dict[str, str]
    profile: int
    state: ReprovisionState = Field(description="`done`: it is on its way in again, or set aside.")
    waits_for: str = Field(description="What it waits for; of a refused one why.")
    steps: tuple[ForgottenReply, ...]
    before: dict[str, Any]
    finished_at: datetime | None

    @classmethod
    def of(cls, given: Reprovision) -> "ReprovisionReply":
        """The reply for one."""
        return cls.model_validate(given)
