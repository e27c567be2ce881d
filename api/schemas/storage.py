"""What is stored, at the door."""

from collections.abc import Sequence

from pydantic import Field

from api.schemas.common import Reply
from storage.retention import ClassSurvey


class ClassReply(Reply):
    """One class of stored things."""

    name: str
    what: str
    rows: int
    bytes: int
    kept_days: int | None = Field(description="Null: for ever.")
    outlived: int = Field(description="Rows that would go now.")
    held: dict[str, int] = Field(description="Rows that are old and stay, by what needs them.")

    @classmethod
    def of(cls, survey: ClassSurvey) -> "ClassReply":
        """The reply for a counted class."""
        return cls(
            name=survey.name,
            what=survey.what,
            rows=survey.rows,
            bytes=survey.bytes,
            kept_days=survey.kept_days,
            outlived=survey.outlived,
            held=dict(survey.held),
        )


class RetentionReply(Reply):
    """Every class; ``removed`` by class after a round."""

    dry_run: bool
    classes: Sequence[ClassReply]
    removed: dict[str, int]
