"""Halts at the door."""

from datetime import datetime

from pydantic import Field

from api.halts import Paused
from api.schemas.common import Body, Reply, Sentence
from storage.halt import NEEDED_TO_RESTORE, Halt


class HaltBody(Body):
    """Why everything is to stop."""

    reason: Sentence


class RestoreBody(Body):
    """Why it may go on."""

    reason: Sentence


class VoteReply(Reply):
    """One person's word that it may go on."""

    actor: str
    reason: str
    at: datetime


class PausedReply(Reply):
    """What became of a campaign that was running."""

    campaign_id: str
    paused: bool
    why: str


class HaltReply(Reply):
    """A halt. It is in force while ``lifted_at`` is null."""

    halt_id: int
    scope: str = Field(examples=["everything"])
    actor: str
    reason: str
    at: datetime
    votes: tuple[VoteReply, ...]
    votes_needed: int
    lifted_at: datetime | None
    campaigns: tuple[PausedReply, ...] = Field(default=(), description="Only in the answer to the halt.")

    @classmethod
    def of(cls, halt: Halt, paused: tuple[Paused, ...] = ()) -> "HaltReply":
        """The reply for a stored halt."""
        return cls(
            halt_id=halt.halt_id,
            scope=halt.scope,
            actor=halt.actor,
            reason=halt.reason,
            at=halt.at,
            votes=tuple(VoteReply.model_validate(vote) for vote in halt.votes),
            votes_needed=NEEDED_TO_RESTORE,
            lifted_at=halt.lifted_at,
            campaigns=tuple(PausedReply.model_validate(one) for one in paused),
        )
