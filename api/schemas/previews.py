"""What a plan would do, at the door."""

from datetime import datetime

from pydantic import Field

from api.schemas.common import PageReply, Reply
from storage.campaign import Exclusion


class PlannedCharger(Reply):
    """One charger that the plan's filter matched: its wave and earliest time, or why it is left out."""

    charger_id: str
    site_id: str | None
    wave: int | None = Field(description="Null: it is left out.")
    wave_name: str | None
    earliest: datetime | None = Field(description="Null: left out, or it waits for somebody's word.")
    reason: str = Field(description="Why it is left out, or what it waits for; empty: nothing.")


class PlannedPage(PageReply[PlannedCharger]):
    """A page of a preview; the digest tells whether the fleet changed between two pages."""

    plan_digest: str


class WavePreview(Reply):
    """Who would be in which wave."""

    name: str
    wave: int
    chargers: tuple[str, ...]
    begins: datetime | None = Field(description="At the earliest, when every wave before it went well.")
    rules_out: float | None = Field(
        description="Failure rates above it are ruled out (95 %) if nobody up to this wave fails."
    )


class PreviewReply(Reply):
    """What the plan would do now; nothing is stored."""

    plan_digest: str = Field(description="Of plan and cohort together; an approval speaks of this.")
    cohort_size: int
    required_approvals: int = Field(
        description="People but its author who have to say yes before it starts; at least two with a "
        "rollback artifact."
    )
    waves: tuple[WavePreview, ...]
    excluded: tuple[Exclusion, ...]
    warnings: tuple[str, ...]
