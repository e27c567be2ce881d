"""Desired sections at the door."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.common import Reply
from storage.desired import Ack, AckStatus, DesiredSection


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
