"""Withdrawals at the door."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.common import Body, Reply, Sentence, Sha256
from storage.withdrawal import VOTES_TO_RESTORE, Source

Pem = Annotated[str, Field(min_length=1, max_length=5500, description="One certificate, PEM.")]
Subject = Annotated[
    str,
    Field(
        pattern=r"^(artifact|certificate):[0-9a-f]{64}$|^serial:[0-9a-f]{64}:[0-9a-f]{1,64}$",
        examples=["artifact:" + "9f" * 32],
    ),
]


class WithdrawalBody(Body):
    """What is withdrawn, an image or a firmware signing certificate, and why."""

    artifact_id: Sha256 | None = None
    certificate: Pem | None = None
    certificate_sha256: Sha256 | None = None
    reason: Sentence

    @model_validator(mode="after")
    def _one_thing(self) -> "WithdrawalBody":
        given = [self.artifact_id, self.certificate, self.certificate_sha256]
        if sum(each is not None for each in given) != 1:
            raise ValueError("name exactly one of artifact_id, certificate, certificate_sha256")
        return self


class ListBody(Body):
    """A manufacturer's certificate revocation list."""

    crl: str = Field(min_length=1, max_length=700_000, description="PEM, or DER in base64.")


class RestoreBody(Body):
    """A yes to the return of something withdrawn."""

    subject: Subject


class WithdrawalReply(Reply):
    """One withdrawal."""

    subject: str
    reason: str
    source: Source
    withdrawn_by: str
    withdrawn_at: datetime
    restored_by: tuple[str, ...]
    in_force: bool
    votes_to_restore: int = VOTES_TO_RESTORE


class ListReply(Reply):
    """What a revocation list changed."""

    listed: int = Field(description="Certificates that it names.")
    withdrawn: int = Field(description="Of these, withdrawn now and not before.")
