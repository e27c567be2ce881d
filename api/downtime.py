"""Planned downtime under uptime obligations, put together for the doors: the judge's own accounts (X13)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from api.downtime_words import balance, room
from api.ports import ApiServices
from storage.campaign import Pace
from storage.charger import Charger, ChargerFilter
from storage.downtime import Account, account
from storage.errors import NotFound
from storage.ports import Page
from storage.upkeep import SiteRules

TAKES_S = Pace().attempt_deadline_seconds
"""What an update may take where nobody says otherwise: the default of ``pace.attempt_deadline``."""


@dataclass(frozen=True, slots=True)
class Spent:
    """One charger with its account."""

    charger: Charger
    account: Account

    @property
    def bounded(self) -> bool:
        """Whether it owes anything."""
        return self.account.rules.uptime_floor is not None

    @property
    def allowed(self) -> float | None:
        """Seconds in a period; None: nothing bounds it."""
        return self.account.rules.downtime_allowed if self.bounded else None

    @property
    def left(self) -> float | None:
        """Seconds; None: nothing bounds it."""
        return self.account.left if self.bounded else None

    @property
    def balance(self) -> str:
        """In words."""
        found, rules = self.account, self.account.rules
        return balance(rules.uptime_floor, rules.uptime_days, self.allowed, found.spent, self.left)

    @property
    def room(self) -> str:
        """Whether an update fits that takes what is usual, in words."""
        return room(TAKES_S, self.account.room_for(TAKES_S), self.account.now)


async def spent_by(services: ApiServices, charger: Charger) -> Spent:
    """The account of one charger."""
    site = await services.chargers.site(charger.site_id)
    return (await _spent(services, site.rules if site else SiteRules(), [charger]))[0]


async def spent_at(
    services: ApiServices, site_id: str, *, limit: int, cursor: str | None = None
) -> Page[Spent]:
    """The accounts of a site's chargers, by their id. Raises NotFound."""
    site = await services.chargers.site(site_id)
    if site is None:
        raise NotFound("site", site_id, hint="See them: ampwave site list.")
    found = await services.chargers.find(ChargerFilter(site_id=site_id), limit=limit, cursor=cursor)
    spent = await _spent(services, site.rules, [view.charger for view in found.items])
    return Page(tuple(spent), found.next_cursor)


async def _spent(services: ApiServices, rules: SiteRules, chargers: Sequence[Charger]) -> list[Spent]:
    now = services.clock()
    names = [charger.charger_id for charger in chargers]
    since = now - timedelta(days=rules.uptime_days)
    booked = await services.upkeep.bookings(names, since) if names else {}
    return [Spent(charger, account(rules, booked.get(charger.charger_id, ()), now)) for charger in chargers]
