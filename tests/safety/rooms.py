"""What PostgreSQL reads over many rows: a site's room, the load on a feeder, who was first, who may park.

Each as the SQL beside it has it (``storage.postgres.site_budget``, ``feeders``, ``upkeep``, ``parked``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from storage.campaign import CampaignPhase
from storage.charger import SiteLease
from storage.parked import DOWNLOAD, Parked, Parking
from storage.site_budget import download_refusal, room_refusal
from storage.upkeep import Downloads, Feeder, Plug, SiteRoom, SiteRules
from storage.withdrawal import artifact_subject
from tests.support.memory_parked import MemoryParked
from tests.support.memory_upkeep import MemoryUpkeep

if TYPE_CHECKING:
    from tests.safety.stores import Books

MINUTE = timedelta(minutes=1)


class Rooms:
    """The budgets of sites, over leases and what is out of service; ``back``: who came back, and when."""

    def __init__(self, books: "Books") -> None:
        self._books = books
        self.back: dict[str, tuple[str, datetime]] = {}

    def came_back(self, charger_id: str, site_id: str, at: datetime) -> None:
        self.back[charger_id] = site_id, at

    def refused(self, lease: SiteLease) -> str | None:
        rules = self._rules(lease.site_id)
        if not rules.counts_more:
            return None
        room = self.room(lease.site_id, without=lease.charger_id)
        if lease.download_bytes and (why := download_refusal(rules, room.downloads, lease.download_bytes)):
            return why
        return None if lease.kind == DOWNLOAD else room_refusal(rules, room, lease.charger_id)

    def _rules(self, site_id: str) -> SiteRules:
        return self._books.chargers.site_rows[site_id].rules

    def room(self, site_id: str, *, without: str = "") -> SiteRoom:
        books = self._books
        here = sorted(name for name, view in books.chargers.rows.items() if view.charger.site_id == site_id)
        fetching = [
            lease
            for lease in books.leases.alive()
            if lease.site_id == site_id and lease.download_bytes and lease.charger_id != without
        ]
        downloads = Downloads(len(fetching), sum(lease.download_bytes for lease in fetching))
        away = frozenset(books.leases._away(site_id))
        return SiteRoom(tuple(map(self._plug, here)), away, downloads, self._feeder(site_id))

    def _plug(self, charger_id: str) -> Plug:
        said = self._books.upkeep.said.get(charger_id)
        return Plug(charger_id, said.power_kw if said else None)

    def _feeder(self, site_id: str) -> Feeder | None:
        rules = self._rules(site_id)
        if rules.feeder is None or rules.feeder_kw is None:
            return None
        sites = [
            name for name, site in self._books.chargers.site_rows.items() if site.rules.feeder == rules.feeder
        ]
        return Feeder(rules.feeder, rules.feeder_kw, tuple(map(self._plug, sorted(self._loads(sites)))))

    def _loads(self, sites: Sequence[str]) -> set[str]:
        books = self._books
        since = books.clock() - MINUTE
        leased = [row for row in books.leases.rows.values() if row.expires_at > since]
        found = {row.charger_id for row in leased if row.site_id in sites and row.kind != DOWNLOAD}
        found |= {row.charger_id for row in books.out_of_service.rows.values() if row.site_id in sites}
        return found | {name for name, (site, at) in self.back.items() if at > since and site in sites}


class Upkeep(MemoryUpkeep):
    """Reads rooms and the order of campaigns from the other books."""

    def __init__(self, books: "Books") -> None:
        super().__init__()
        self._books = books
        self.standings = books.campaigns.standings

    async def rooms(self, site_ids: Sequence[str]) -> Mapping[str, SiteRoom]:
        return {name: self._books.rooms.room(name) for name in site_ids}


class ParkedImages(MemoryParked):
    """Asks, in the statement that writes, what the SQL asks."""

    def __init__(self, books: "Books") -> None:
        super().__init__(
            books.campaigns,
            books.chargers,
            lambda name: name in books.routes.rows and not books.leases.held(name),
            books.clock,
        )
        self._books = books

    async def park(self, parked: Parked, while_in: CampaignPhase, subjects: Sequence[str] = ()) -> bool:
        books = self._books
        target = books.campaigns.target_rows[parked.campaign_id, parked.wave, parked.charger_id]
        held = [artifact_subject(parked.artifact_id), *subjects]
        if target.recalled or books.campaigns.rows[parked.campaign_id].over(parked.since):
            return False
        if await books.halts.standing() or await books.withdrawals.in_force(held):
            return False
        return await super().park(parked, while_in, subjects)

    def unwanted(self) -> list[str]:
        """Whose image nobody will install."""
        return [name for name, row in self.rows.items() if row.state is not Parking.HASTY and self._done(row)]

    async def left_over(self, *, limit: int = 100) -> Sequence[Parked]:
        self._books.routes.lapse()
        return await super().left_over(limit=limit)
