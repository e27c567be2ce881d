"""Ceremonies at the door."""

from datetime import datetime

from pydantic import Field

from api.schemas.common import Reply


class CeremonyReply(Reply):
    """What is published now."""

    sha256: str = Field(description="Of the ceremony file: under it the file is kept.")
    fingerprint: str = Field(description="Of what was signed; empty where a backup was restored.")
    versions: dict[str, int] = Field(examples=[{"root": 2, "targets": 5, "volta": 17}])
    snapshot_version: int
    timestamp_version: int
    signers: tuple[str, ...] = Field(
        description="Holders whose signatures counted; nobody, if it had been published before."
    )


class DrillStepReply(Reply):
    """One thing that was done or looked at."""

    what: str
    held: bool
    seconds: float


class DrillReply(Reply):
    """One drill as it was played on a scratch repository."""

    number: int
    drill: str = Field(examples=["stolen-online-key"])
    held: bool = Field(description="Whether every step came out as it has to.")
    started_at: datetime
    seconds: float
    steps: tuple[DrillStepReply, ...]
    tools: str
    played_by: str
    previous: str = Field(description="SHA-256 of the record before, as stored; empty before the first.")
