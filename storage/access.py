"""Who may do what: roles, their permissions, and bearer tokens. Deny by default."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """The roles of the API, CLI and dashboard."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    RELEASE_MANAGER = "release-manager"
    SECURITY = "security"
    INSTALLER = "installer"
    """Stands before a charger: redeems its claim and attests what was measured, and reads nothing else."""
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller."""

    name: str
    role: Role


def reads_like(name: str) -> str:
    """What a name is to the eye: two that give the same are one person's, whatever their letters."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; only the SHA-256 of its secret is stored."""

    token_id: str
    secret_sha256: str
    principal: Principal
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
