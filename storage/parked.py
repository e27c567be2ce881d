"""Images that chargers fetched ahead of their install, and hold until they are told to install (R20).

OCPP has no word for "install now": an order says when to fetch and when to install, and a new order takes
the place of the old one (OCPP 2.0.1 L01.FR.24). So the first order tells an instant that never comes, and the
one that installs is sent by the step that looks at everything again. If we vanish in between, nothing is
installed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from storage.campaign import CampaignPhase

NEVER = timedelta(days=366)
"""How far ahead the install of a parked image lies: beyond every wave, in a year that every charger knows."""

DOWNLOAD = "download"
"""The kind of a lease under which an image is fetched. Its charger serves cars: it is not away (X2, X13)."""


class Parking(StrEnum):
    """Where a charger stands with an image that it fetches ahead."""

    ASKED = "asked"
    FETCHED = "fetched"
    FAILED = "failed"
    """It fetches in one step with its install now."""
    HASTY = "hasty"
    """It began to install by itself: no charger of its model is asked to fetch ahead any more."""


@dataclass(frozen=True, slots=True)
class Parked:
    """One charger's image, of one wave. Written before the charger is told, as far as that may have come."""

    charger_id: str
    campaign_id: str
    wave: int
    request_id: int
    directive_id: str
    """The install needs another one: a directive is for one order to a charger (S24)."""
    artifact_id: str
    version: str
    since: datetime
    """When it was asked; of one that would not drop its image, when it is asked to do so again."""
    state: Parking = Parking.ASKED

    @property
    def issue(self) -> int:
        """Which of its shard's directives that was."""
        last = self.directive_id.rpartition(".")[2]
        return int(last) if last.isdecimal() else 0

    def held_from(self, campaign_id: str) -> bool:
        """Whether it may be at the charger for another campaign, so that this one leaves it where it is.

        A charger has room for one; and what is known of it is this note, which an order would overwrite.
        """
        return self.campaign_id != campaign_id and self.state in (Parking.ASKED, Parking.FETCHED)


class ParkedStore(Protocol):
    """Who holds, or may hold, an image that is not to be installed yet."""

    async def park(self, parked: Parked, while_in: CampaignPhase, subjects: Sequence[str] = ()) -> bool:
        """Take the place of what was there; False: its target, its campaign or its image was stopped.

        In one statement with that question, so that no abort or halt slips in.
        """

    async def get(self, charger_id: str) -> Parked | None:
        """None: nothing that we know of."""

    async def of(self, charger_ids: Sequence[str]) -> Mapping[str, Parked]:
        """Of those that hold, or may hold, one."""

    async def settle(self, charger_id: str, request_id: int, state: Parking) -> bool:
        """Whether it was about this order."""

    async def forget(self, charger_id: str, request_id: int | None = None) -> bool:
        """Nothing is parked there any more; ``request_id``: only if it was this one. Haste is remembered."""

    async def postpone(self, charger_id: str, request_id: int, until: datetime) -> None:
        """It does not drop its image now; whoever else has one left over comes first meanwhile."""

    async def hasty_models(self) -> frozenset[tuple[str, str]]:
        """(vendor, model) of chargers that installed by themselves."""

    async def left_over(self, *, limit: int = 100) -> Sequence[Parked]:
        """Of targets that are done: nobody will install it. Connected chargers on which nobody works.

        Without those that are postponed.
        """
