"""A charger's way to prove itself: its pending password, and the profile below which it is not let in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PendingSecret:
    """A new password that was or will be sent; whether the charger uses it is not known yet (A01)."""

    secret_hmac: bytes
    since: datetime


class PendingFate(StrEnum):
    """What becomes of a pending password."""

    PROMOTE = "promote"
    """It is the charger's password from now on; the old one is dead (A01.FR.03)."""
    DROP = "drop"
    """The charger does not have it; the old one stays (A01.FR.04)."""
    HOLD = "hold"
    """Either may be live until the charger shows which."""


class CredentialStore(Protocol):
    """What may change of a charger's credentials after its registration."""

    async def raise_security_floor(self, charger_id: str, profile: int) -> None:
        """At least this from now on; it never goes down (A05.FR.07)."""

    async def named(self, name: str) -> Sequence[str]:
        """The chargers whose identity or serial number this is, by id (F36)."""

    async def offer_secret(self, charger_id: str, pending: PendingSecret) -> None:
        """Remember a new password before it is sent.

        Raises:
            NotFound: the charger has no password.
            Conflict: another new password is pending.
        """

    async def settle_secret(self, charger_id: str, pending: PendingSecret, fate: PendingFate) -> None:
        """Say what becomes of this pending password; nothing happens if it is pending no more."""
