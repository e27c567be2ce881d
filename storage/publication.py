"""Images that a site's local controller offers to the chargers behind it (OCPP 2.0.1 L03, L04).

A controller is no authority: it gives an address, and every charger proves for itself what it fetches there.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Publication(StrEnum):
    """Where a controller stands with an image."""

    ASKED = "asked"
    """Its site's chargers wait, until the deadline at the longest."""
    PUBLISHED = "published"
    FAILED = "failed"
    """Its site's chargers fetch from us."""
    ENDED = "ended"
    """Nobody of the wave needs it there any more."""


@dataclass(frozen=True, slots=True)
class LocalImage:
    """One image at one site's controller, for one wave. Written before the controller is told."""

    campaign_id: str
    wave: int
    site_id: str
    controller_id: str
    artifact_id: str
    checksum: str
    """MD5 in hexadecimal, as L03.FR.02 has it: for the controller's comfort, a proof of nothing (S29)."""
    request_id: int
    since: datetime
    deadline: datetime
    state: Publication = Publication.ASKED
    reason: str = ""
    locations: tuple[str, ...] = ()
    """What the controller itself reported, and nothing else."""


class PublicationStore(Protocol):
    """What is offered by which controller."""

    async def open(self, image: LocalImage) -> LocalImage:
        """What is there; ``image`` where nothing was."""

    async def get(self, campaign_id: str, wave: int, site_id: str) -> LocalImage | None:
        """None: nobody asked for it."""

    async def of_wave(self, campaign_id: str, wave: int, site_ids: Collection[str]) -> Sequence[LocalImage]:
        """Those of these sites."""

    async def settle(
        self, image: LocalImage, state: Publication, reason: str, locations: tuple[str, ...]
    ) -> None:
        """How it stands now, in a sentence."""

    async def offered_elsewhere(self, image: LocalImage) -> bool:
        """Whether another wave still has this very image offered, or asked for, at this controller."""

    async def open_targets(self, campaign_id: str, wave: int, site_id: str) -> int:
        """How many of the wave's chargers at the site are not done."""
