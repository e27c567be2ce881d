"""Whose a charger is, and moves, at the door."""

from datetime import datetime

from pydantic import Field

from api.schemas.common import Body, Label, Reply, Sentence, Slug
from storage.ownership import MoveState


class OwnershipReply(Reply):
    """Whose a charger is beside its site; null: nobody said."""

    operator: str | None
    site_group: str | None
    location: str | None
    installer: str | None


class MoveBody(Body):
    """Where a charger is to belong; what is left out stays, null takes away. Null is no site."""

    site_id: Slug = Field(default="-", description="Left out: it stays at its site.")
    operator: Label | None = Field(default=None, examples=["north-grid"])
    site_group: Label | None = None
    location: Label | None = Field(default=None, examples=["level 2, bay 14"])
    installer: Label | None = None
    reason: Sentence


class MoveReply(Reply):
    """A move and what became of it."""

    move_id: str
    charger_id: str
    state: MoveState
    values: dict[str, str | None] = Field(description="What was asked for.")
    before: dict[str, str | None] = Field(description="What it was before, once it is done.")
    actor: str
    reason: str
    why: str = Field(description="Why it was refused.")
    requested_at: datetime
    finished_at: datetime | None
