"""Tokens, the audit log and the codec at the door."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.common import Body, Instant, Label, Reply
from storage.access import Role, Token
from storage.audit import AuditRow


class TokenBody(Body):
    """A token to make."""

    name: Label = Field(description="Whose it is; two tokens of one name are one person.", examples=["ada"])
    role: Role
    expires_at: Instant | None = Field(default=None, description="Null: it lasts until it is revoked.")


class TokenReply(Reply):
    """A token without its secret."""

    token_id: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, token: Token) -> "TokenReply":
        """The reply for a stored token."""
        return cls(**_token(token))


class MintedReply(TokenReply):
    """A new token; its text is shown this once."""

    token: str

    @classmethod
    def minted(cls, token: Token, text: str) -> "MintedReply":
        """The reply with the text."""
        return cls(**_token(token), token=text)


def _token(token: Token) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "name": token.principal.name,
        "role": token.principal.role,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
    }


class AuditReply(Reply):
    """One row of the audit log, in its place in the chain."""

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous_hash: str
    row_hash: str

    @classmethod
    def of(cls, row: AuditRow) -> "AuditReply":
        """The reply for a stored row."""
        entry = row.entry
        return cls(
            number=row.number,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            detail=entry.detail,
            previous_hash=row.previous_hash,
            row_hash=row.row_hash,
        )


class CheckpointReply(Reply):
    """A signed checkpoint of the audit log."""

    sequence: int
    envelope: dict[str, Any] = Field(description="DSSE; its payload is the checkpoint.")
    timestamp: str | None = Field(description="RFC 3161 response over it, base64; null: it has none.")


class WhoReply(Reply):
    """The caller, as this api sees it."""

    name: str
    role: Role
    permissions: tuple[str, ...]
