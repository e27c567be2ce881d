"""Ceremonies at the door."""

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
