"""What every command body is made of: its record without secrets, and fields that let no secret in."""

import re
from abc import abstractmethod
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from api.schemas.common import Body, Whole
from csms.access import RotatePassword
from csms.commands import Command
from csms.redaction import HIDDEN, is_secret
from storage.canonical import sha256_hex

LONGEST_DEADLINE_S = 40.0
# Wider than what is redacted: a name too many costs a detour, one too few a secret.
_SECRET = re.compile(r"pass|secret|privatekey|psk|pin\b|token", re.IGNORECASE)
# Never lowered, and raised only once the charger has connected at the new level (A05.FR.07).
_PROFILE = re.compile(r"(^|\.)SecurityProfile(\[[^\]]*\])?\s*$", re.IGNORECASE)


def unfit(name: str) -> str | None:
    """Why nobody sets a variable of this name by hand, or None: it is a secret, or the level of security."""
    if is_secret(name) or _SECRET.search(name):
        return "is a secret, and no secret goes through this door"
    if _PROFILE.search(name):
        return "is raised by connecting at the new level, not set by hand"
    return None


def no_secret(values: dict[str, str]) -> dict[str, str]:
    """Values of variables, all of them fit to be set by hand."""
    for name in values:
        problem = unfit(name)
        if problem:
            raise ValueError(f"{name} {problem}")
    return values


def public(text: str) -> str:
    """Certificates, and no private key."""
    if "PRIVATE KEY" in text:
        raise ValueError("this is a private key: keep it where it is, and send certificates only")
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ValueError("not a certificate in PEM")
    return text


def plain_address(text: str) -> str:
    """An address without a secret in it."""
    try:
        parts = urlsplit(text)
        secret = parts.username or parts.password or parts.query
    except ValueError:
        raise ValueError("not an address") from None
    if not parts.scheme or not parts.netloc:
        raise ValueError("not an address: write scheme://host/path")
    if secret:
        raise ValueError("an address with a password or a query in it is a secret")
    return text


Variable = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Evse = Annotated[Whole | None, Field(ge=0, le=1000, description="EVSE; none: the whole charger.")]
Names = Annotated[tuple[Variable, ...], Field(max_length=100)]
Pem = Annotated[str, Field(max_length=10_000, description="PEM."), AfterValidator(public)]
Address = Annotated[str, Field(max_length=512), AfterValidator(plain_address)]
Hex = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[0-9A-Fa-f]+$")]


class CommandBody(Body):
    """One command; every kind of it names itself in ``command``."""

    HIDDEN: ClassVar[frozenset[str]] = frozenset()
    """Fields that are in no record."""
    PUBLIC_TEXT: ClassVar[frozenset[str]] = frozenset()
    """Fields of which the SHA-256 is on record, for they are long."""

    command: str
    deadline_seconds: Annotated[
        float, Field(ge=1, le=LONGEST_DEADLINE_S, description="How long the charger may take to answer.")
    ] = 20.0

    @abstractmethod
    def to_command(self, request_id: int) -> Command | RotatePassword:
        """The canonical command; ``request_id`` for those that have one."""

    def on_record(self) -> dict[str, Any]:
        """The parameters without secrets."""
        given = self.model_dump(mode="json", exclude={"command", "deadline_seconds"}, exclude_none=True)
        for name in self.HIDDEN & given.keys():
            given[name] = HIDDEN
        for name in self.PUBLIC_TEXT & given.keys():
            given[name] = f"sha256:{sha256_hex(given[name].encode())}"
        return given
