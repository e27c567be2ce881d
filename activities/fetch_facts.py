"""What decides who may fetch an image ahead of its install, measured (R20)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from activities.facts import ParkedFacts, Situation
from activities.stores import Stores
from csms.capabilities import of_charger
from storage.campaign import REHEARSAL_WAVE, Campaign
from storage.charger import ModelProfile, Site
from storage.parked import Parked
from storage.ports import ChargerView
from storage.upkeep import SiteRoom
from storage.windows import Closure, ClosureKind


@dataclass(frozen=True, slots=True)
class Ahead:
    """One look at a wave whose plan has chargers fetch ahead; ``wanted`` False: it has not."""

    wanted: bool = False
    parked: Mapping[str, Parked] = field(default_factory=dict)
    """By charger, of this wave."""
    elsewhere: Collection[str] = ()
    """Chargers that hold, or fetch, another campaign's image: that stays until it is through with them."""
    hasty: Collection[tuple[str, str]] = ()
    """Models, one of whose chargers installed by itself."""

    def may(self, view: ChargerView, profile: ModelProfile | None, situation: Situation) -> bool:
        """Whether this charger is to fetch ahead, as far as it and its model can."""
        charger = view.charger
        name = charger.charger_id
        if not self.wanted or name in self.parked or name in self.elsewhere:
            return False
        holds = of_charger(charger, view.twin, profile).known.holds_install
        trusted = holds if holds is not None else (charger.vendor, charger.model) not in self.hasty
        return trusted and situation.takes_signed is not False and not situation.unsigned_waiver

    @property
    def facts(self) -> tuple[ParkedFacts, ...]:
        """Who is at it, or has it."""
        return tuple(ParkedFacts(name, one.state, one.issue) for name, one in sorted(self.parked.items()))


async def ahead_of(stores: Stores, campaign: Campaign, wave: int, views: Sequence[ChargerView]) -> Ahead:
    """Nothing is read where the plan does not ask for it. A rollback is not delayed by a download."""
    if campaign.plan.pace.download_ahead_seconds is None or wave >= REHEARSAL_WAVE:
        return Ahead()
    found = await stores.parked.of([view.charger.charger_id for view in views])
    ours = {name: one for name, one in found.items() if _ours(one, campaign, wave)}
    elsewhere = {name for name, one in found.items() if one.held_from(campaign.campaign_id)}
    hasty = await stores.parked.hasty_models()
    return Ahead(wanted=True, parked=ours, elsewhere=elsewhere, hasty=hasty)


def _ours(one: Parked, campaign: Campaign, wave: int) -> bool:
    return (one.campaign_id, one.wave) == (campaign.campaign_id, wave)


def is_frozen(closures: Sequence[Closure], now: datetime) -> bool:
    """Whether people said that nothing happens there at all."""
    return any(one.kind is ClosureKind.FREEZE and one.begins <= now < one.ends for one in closures)


def uplink_left(site: Site, room: SiteRoom | None, length: int) -> int | None:
    """How many more images of this length its uplink takes at once (X16); None: nobody limits it."""
    rules, under_way = site.rules, room.downloads if room else None
    limits = []
    if rules.max_downloads is not None:
        limits.append(rules.max_downloads - (under_way.count if under_way else 0))
    if rules.max_download_bytes is not None:
        free = rules.max_download_bytes - (under_way.length if under_way else 0)
        limits.append(free // max(1, length))
    return max(0, min(limits)) if limits else None
