"""What surrounds a charger and decides about it: people's words, other campaigns, doubts, the calendar.

Facts without opinion, as ``facts`` has them; who has nothing of the kind has no circumstances at all, so
that the situations of many chargers stay the same few values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from storage.campaign import CampaignPlan, follows, goes_back
from storage.charger import ChargerFilter, ModelProfile, Site
from storage.downtime import account
from storage.ports import ChargerStore, ChargerView
from storage.site_budget import download_refusal, room_refusal
from storage.upkeep import (
    Before,
    Claimant,
    Link,
    Metering,
    SiteRoom,
    Surrounding,
    Upkeep,
    UpkeepStore,
)
from storage.windows import HORIZON, Calendar, Closure, Opening

_CERTIFICATES_AHEAD = timedelta(days=2)
"""An end that is further away is no news of any attempt."""


@dataclass(frozen=True, slots=True)
class Risk:
    """An edge of the plan that this charger would have to go, and must not."""

    from_version: str
    via: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Everything of the kind, for one charger at one instant."""

    hold: str = ""
    hold_until: datetime | None = None
    pin: str | None = None
    link_refused: str | None = None
    """How it is connected, where the plan does not have that; ``unknown``: nobody told."""
    certificate_ends: datetime | None = None
    """Within the next days."""
    doubts: tuple[str, ...] = ()
    """Paths of open critical drifts."""
    rival: str | None = None
    """Another campaign that wants it and goes first."""
    before: Before | None = None
    """How it stands in the campaign that has to be through with it first; None: it is, or there is none."""
    risk: Risk | None = None
    unread: bool = False
    """The plan needs its configuration, and that was never read."""
    veto: str | None = None
    """What it says itself, where that means that it takes no update now."""
    downtime_left: float | None = None
    """Seconds of planned downtime that it may still have; None: more than an attempt takes."""
    downtime_frees: datetime | None = None
    """When that is enough for an attempt again, if nothing more is spent; only where it is not now."""
    downtime_never: bool = False
    """Its floor allows less than an attempt takes, whatever was spent."""
    metering: str | None = None
    """The country (``unknown``: nobody told) that did not permit this firmware, which affects metering."""
    no_room: str | None = None
    """What else of its site's budget, beside how many may be down, it would break now."""


NOTHING = Circumstances()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is measured once for many chargers."""

    plan: CampaignPlan
    now: datetime
    surrounding: Surrounding = field(default_factory=Surrounding)
    sites: Mapping[str, Site] | None = None
    risky: Mapping[int, frozenset[str]] | None = None
    """Who matches the risk of each edge, by its place in the plan."""
    metering: Metering | None = None
    wave: int = 0
    """Going back asks less: it takes bad firmware away, and people approved it with the plan."""
    rooms: Mapping[str, SiteRoom] | None = None
    """Of sites whose rules ask for more than a number; None: nobody goes away yet."""
    length: int = 0
    """Of the image, bytes."""

    @property
    def takes(self) -> timedelta:
        """The longest that an attempt may take."""
        return timedelta(seconds=self.plan.pace.attempt_deadline_seconds)


def circumstances_of(
    view: ChargerView, outlook: Outlook, profile: ModelProfile | None = None
) -> Circumstances | None:
    """The circumstances of one charger; None: there are none."""
    name, said = view.charger.charger_id, outlook.surrounding
    upkeep = said.upkeep.get(name) or Upkeep(name)
    rival = said.rivals.get(name)
    held = upkeep.held(outlook.now)
    values: dict[str, Any] = {
        "hold": upkeep.hold if held else "",
        "hold_until": upkeep.hold_until if held else None,
        "certificate_ends": _certificate(view, outlook),
        "doubts": said.doubts.get(name, ()),
        "veto": _veto(view, profile),
        **_downtime(view, outlook),
        "no_room": _no_room(view, outlook),
        "before": _before(name, outlook) if follows(outlook.wave) else None,
    }
    if not goes_back(outlook.wave):
        values |= {
            "pin": upkeep.pin,
            "link_refused": _link(upkeep.link, outlook.plan),
            "rival": rival.campaign_id if rival else None,
            "risk": _risk(view, outlook),
            "unread": bool(outlook.plan.needs_configuration) and _unread(view),
            "metering": _metering(view, outlook),
        }
    found = Circumstances(**values)
    return None if found == NOTHING else found


def _certificate(view: ChargerView, outlook: Outlook) -> datetime | None:
    until = view.twin.security.certificate_until if view.twin.security else None
    ahead = outlook.takes + _CERTIFICATES_AHEAD
    return until if until is not None and until - outlook.now < ahead else None


def _veto(view: ChargerView, profile: ModelProfile | None) -> str | None:
    if profile is None or profile.veto_variable is None or view.twin.configuration is None:
        return None
    value = view.twin.configuration.values.get(profile.veto_variable)
    vetoes = value is not None and value.casefold() == (profile.veto_value or "").casefold()
    return f"{profile.veto_variable} = {value}" if vetoes else None


def _downtime(view: ChargerView, outlook: Outlook) -> dict[str, Any]:
    """Only where its obligation leaves less than an attempt takes."""
    site = (outlook.sites or {}).get(view.charger.site_id)
    if site is None or site.rules.uptime_floor is None:
        return {}
    books = outlook.surrounding.downtime.get(view.charger.charger_id, ())
    found = account(site.rules, books, outlook.now)
    frees = found.room_for(outlook.takes.total_seconds())
    if frees is not None and frees <= outlook.now:
        return {}
    return {
        "downtime_left": float(round(found.left)),
        "downtime_frees": frees,
        "downtime_never": frees is None,
    }


def _no_room(view: ChargerView, outlook: Outlook) -> str | None:
    if full := outlook.surrounding.full_groups.get(view.charger.charger_id):
        return full
    room = (outlook.rooms or {}).get(view.charger.site_id)
    site = (outlook.sites or {}).get(view.charger.site_id)
    if room is None or site is None or view.charger.charger_id in room.away:
        return None
    return download_refusal(site.rules, room.downloads, outlook.length) or room_refusal(
        site.rules, room, view.charger.charger_id
    )


def _link(link: Link | None, plan: CampaignPlan) -> str | None:
    if plan.links is None or link in plan.links:
        return None
    return link.value if link else "unknown"


def _risk(view: ChargerView, outlook: Outlook) -> Risk | None:
    version = view.twin.firmware.version if view.twin.firmware else None
    for place, edge in enumerate(outlook.plan.edges or ()):
        if version is None or not fnmatchcase(version, edge.from_version):
            continue
        if edge.via is not None and version != edge.via:
            return Risk(edge.from_version, edge.via, edge.reason)
        if edge.risk is not None and view.charger.charger_id in (outlook.risky or {}).get(place, ()):
            return Risk(edge.from_version, None, edge.reason or edge.risk)
    return None


def _before(charger_id: str, outlook: Outlook) -> Before | None:
    after = outlook.plan.after
    if after is None:
        return None
    found = outlook.surrounding.before.get(charger_id) or Before(after)
    return None if found.proven else found


def _unread(view: ChargerView) -> bool:
    return view.twin.configuration is None or view.twin.configuration.read_at is None


def _metering(view: ChargerView, outlook: Outlook) -> str | None:
    if outlook.metering is None:
        return None
    site = (outlook.sites or {}).get(view.charger.site_id)
    country = site.rules.country if site else None
    return None if country in outlook.metering.countries else (country or "unknown")


def calendar_of(site: Site, plan: CampaignPlan, closures: Sequence[Closure]) -> Calendar:
    """When this plan may work at a site."""
    ours = tuple(one for one in closures if one.site_id in (None, site.site_id))
    takes = timedelta(seconds=plan.pace.attempt_deadline_seconds)
    return Calendar(site.site_id, site.time_zone, plan.windows or (), ours, plan.max_price, takes)


def opening_of(site: Site, plan: CampaignPlan, closures: Sequence[Closure], now: datetime) -> Opening:
    """Whether work may begin there now; a site whose time zone nobody knows is closed, if it needs one."""
    return calendar_of(site, plan, closures).opening(now)


class Openings:
    """Whether work may begin at many sites; sites that share a zone and their closures are asked once."""

    def __init__(self, plan: CampaignPlan, closures: Sequence[Closure]) -> None:
        self._plan = plan
        self._everywhere = tuple(one for one in closures if one.site_id is None)
        self._own: dict[str, tuple[Closure, ...]] = {}
        for one in closures:
            if one.site_id is not None:
                self._own[one.site_id] = (*self._own.get(one.site_id, ()), one)
        self._known: dict[tuple[str, str, datetime], Opening] = {}

    def closures(self, site_id: str) -> tuple[Closure, ...]:
        """Those of a site, and those of all."""
        return self._everywhere + self._own.get(site_id, ())

    def of(self, site: Site, at: datetime) -> Opening:
        """Whether work may begin there then."""
        key = (site.time_zone, site.site_id if site.site_id in self._own else "", at)
        if key not in self._known:
            self._known[key] = opening_of(site, self._plan, self.closures(site.site_id), at)
        return self._known[key]


class Surroundings:
    """Measures what surrounds chargers; one read for many."""

    def __init__(self, chargers: ChargerStore, upkeep: UpkeepStore) -> None:
        self._chargers = chargers
        self._upkeep = upkeep

    async def outlook(
        self,
        plan: CampaignPlan,
        claimant: Claimant,
        views: Sequence[ChargerView],
        sites: Mapping[str, Site],
        now: datetime,
        *,
        wave: int = 0,
    ) -> Outlook:
        """What is needed for ``circumstances_of`` of these chargers."""
        names = [view.charger.charger_id for view in views]
        floors = [
            sites[view.charger.site_id].rules.uptime_days
            for view in views
            if view.charger.site_id in sites and sites[view.charger.site_id].rules.uptime_floor is not None
        ]
        since = now - timedelta(days=max(floors)) if floors else None
        return Outlook(
            plan=plan,
            now=now,
            surrounding=await self._upkeep.surrounding(claimant, names, downtime_since=since),
            sites=sites,
            risky=await self._risky(plan, views),
            metering=await self._upkeep.metering(plan.artifact_id),
            wave=wave,
        )

    async def _risky(self, plan: CampaignPlan, views: Sequence[ChargerView]) -> dict[int, frozenset[str]]:
        """Asked of those alone that run a version from which the edge leads."""
        found = {}
        for place, edge in enumerate(plan.edges or ()):
            if edge.risk is None:
                continue
            names = tuple(
                view.charger.charger_id
                for view in views
                if view.twin.firmware and fnmatchcase(view.twin.firmware.version or "", edge.from_version)
            )
            where = ChargerFilter(charger_ids=names, query=edge.risk)
            found[place] = await self._chargers.names(where) if names else frozenset()
        return found

    async def rooms(self, sites: Sequence[Site]) -> Mapping[str, SiteRoom]:
        """Of those whose rules ask for more than a number."""
        asking = [site.site_id for site in sites if site.rules.counts_more]
        return await self._upkeep.rooms(asking) if asking else {}

    async def closures(self, begin: datetime) -> Sequence[Closure]:
        """Those that may matter from an instant on."""
        return await self._upkeep.closures(begin, begin + HORIZON)
