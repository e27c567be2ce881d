"""What people do to campaigns, at the door."""

from pydantic import Field

from api.schemas.common import Body, ChargerId, Flag, Instant, QueryText, Reply, Sentence, Sha256
from storage.campaign import Exclusion


class ApproveBody(Body):
    """A yes to exactly this plan and cohort."""

    plan_digest: Sha256
    evidence: str = Field(
        default="",
        max_length=8192,
        description="The DSSE envelope of your own key; needed where signed metadata lists approvers.",
    )


class AbortBody(Body):
    """Stop for good."""

    rollback: Flag = Field(default=False, description="Take updated chargers back to the rollback artifact.")
    reason: Sentence = Field(examples=["Support sees failed sessions on V22."])


class ReasonBody(Body):
    """Why, in a sentence."""

    reason: Sentence = Field(examples=["Checked by hand: the two failures were a power cut."])


class ExtendBody(Body):
    """A later end."""

    ends_at: Instant = Field(examples=["2026-12-24T18:00:00+01:00"])
    reason: Sentence = Field(examples=["Two depots were snowed in for a week."])


class SkipBody(Body):
    """Take one charger out."""

    charger_id: ChargerId
    reason: Sentence = Field(examples=["A technician is working on it."])


class SliceBody(Body):
    """Take everybody out who matches now and was sent nothing yet."""

    query: QueryText
    reason: Sentence = Field(examples=["Revision B2 loses its network after the update."])


class SliceReply(Reply):
    """What became of everybody who matched."""

    skipped: tuple[str, ...]
    refused: tuple[Exclusion, ...] = Field(description="Sent something, or done, in the meantime.")
