"""What is known around a charger that is away: small, as it lives in histories."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SilenceFacts:
    """What is known around a charger that is away (X7)."""

    gone_at: datetime | None = None
    """When its socket was lost."""
    neighbours: int = 0
    """Others that share its way to us and are not under maintenance."""
    away: int = 0
    """Of them."""
    together: int = 0
    """Of those that are away: lost at about the same time."""
    same_router: bool = False
    """They come from the same address; else they are only at the same site."""
    reboots: int = 0
    """Restarts of its model in past updates."""
    longest_reboot_s: float | None = None
