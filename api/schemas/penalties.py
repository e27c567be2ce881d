"""Chargers that are set apart, at the door."""

from datetime import datetime

from api.schemas.common import Body, Reply, Sentence
from storage.penalty import Penalty


class ReleaseBody(Body):
    """Why it may get updates again."""

    reason: Sentence


class PenaltyReply(Reply):
    """A charger that gets no update, until when, and why."""

    charger_id: str
    since: datetime
    until: datetime
    failures: int
    times: int
    reason: str
    released_at: datetime | None
    released_by: str

    @classmethod
    def of(cls, penalty: Penalty) -> "PenaltyReply":
        """The reply for a stored penalty."""
        return cls.model_validate(penalty)
