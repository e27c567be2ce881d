"""What people say of chargers and sites that decides when, and whether, an update may come; and its books.

A charger's own word is its twin; what is here the charger cannot know.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from storage.windows import Closure


class Link(StrEnum):
    """How a charger is connected (F68)."""

    WIRED = "wired"
    CELLULAR = "cellular"
    WIFI = "wifi"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One charger; nothing is said where a field has its default."""

    charger_id: str
    hold: str = ""
    """Why nobody may update it; "": nobody holds it."""
    hold_until: datetime | None = None
    """When the hold ends by itself; None: when somebody lifts it."""
    pin: str | None = None
    """The version it stays on."""
    link: Link | None = None
    power_kw: float | None = None
    connector_types: tuple[str, ...] = ()
    """As in ``cCCS2``; the words are the operator's."""
    changed_by: str = ""

    def held(self, now: datetime) -> bool:
        """Whether somebody holds it."""
        return bool(self.hold) and (self.hold_until is None or self.hold_until > now)


@dataclass(frozen=True, slots=True)
class SiteRules:
    """What a site asks for beside ``max_down``; nothing where a field has its default."""

    kind: str | None = None
    """Depot, highway, ...: waves are spread evenly over kinds."""
    country: str | None = None
    """ISO 3166, two letters: where firmware that matters for billing must be permitted (X14)."""
    keep_power_share: float | None = None
    """Of the power of its chargers, what has to stay (X2)."""
    keep_connector_types: bool = False
    """Of every type of connector that it has, one has to stay (X2)."""
    max_downloads: int | None = None
    """Images on their way to it at once (X16)."""
    max_download_bytes: int | None = None
    """The length of all of them together."""
    uptime_floor: float | None = None
    """The share of time that each charger owes, as 0.97 (X13)."""
    uptime_days: int = 30
    """Over so many days back."""
    feeder: str | None = None
    """The supply that it hangs on; sites that name the same one share it (X4)."""
    feeder_kw: float | None = None
    """What may come back on it within a minute; of its sites' numbers the least one counts."""
    local_controller: str | None = None
    """The identity of what fetches an image once for all chargers of the site (OCPP 2.0.1 L03)."""

    @property
    def counts_more(self) -> bool:
        """Whether its budget is more than a number of chargers."""
        limits = (self.keep_power_share, self.max_downloads, self.max_download_bytes, self.feeder_kw)
        return self.keep_connector_types or any(limit is not None for limit in limits)

    @property
    def downtime_allowed(self) -> float:
        """Seconds of planned downtime that a charger may have in the period; infinite without a floor."""
        if self.uptime_floor is None:
            return float("inf")
        # To the millisecond: 10 % of 30 days are 259,199.99999999994 s in floats, which reads 71 h 59 min.
        return round((1.0 - self.uptime_floor) * self.uptime_days * 86_400.0, 3)


@dataclass(frozen=True, slots=True)
class Plug:
    """What a charger gives to its site, for the budget."""

    charger_id: str
    power_kw: float | None = None
    connector_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Downloads:
    """What is on its way to a site."""

    count: int = 0
    length: int = 0
    """Bytes, all together."""


@dataclass(frozen=True, slots=True)
class Feeder:
    """A supply at one instant, and the load that may come back on it (X4)."""

    name: str
    kw: float
    """What may come back within a minute."""
    loads: tuple[Plug, ...] = ()
    """Who is away, or came back within the last minute, over all its sites; each once."""


@dataclass(frozen=True, slots=True)
class SiteRoom:
    """A site's budget at one instant: all its chargers, who is away, what is on its way."""

    plugs: tuple[Plug, ...] = ()
    away: frozenset[str] = frozenset()
    downloads: Downloads = Downloads()
    feeder: Feeder | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """One absence of one charger under a lease."""

    began: datetime
    ended: datetime
    """Of one that lasts: now."""
    kind: str
    """As in ``charger.SiteLease``."""
    campaign_id: str | None = None
    """None: it was for no campaign, or was booked before that was written down."""
    lasts: bool = False
    """Its lease holds now."""

    def within(self, since: datetime) -> float:
        """Seconds of it that lie after an instant."""
        return max(0.0, (self.ended - max(self.began, since)).total_seconds())


@dataclass(frozen=True, slots=True)
class Rival:
    """Another campaign that wants the same charger and goes first."""

    campaign_id: str
    priority: int


PROVEN = ("updated", "already_current")
"""Outcomes after which a charger runs what its campaign brought."""


@dataclass(frozen=True, slots=True)
class Before:
    """How a charger stands in the campaign that has to be through with it first (R32)."""

    campaign_id: str
    outcome: str | None = None
    """As in ``campaign.Outcome``; None: it is not through, or (``reason`` "") has no part in it."""
    reason: str = ""
    taken_back: bool = False
    """That was in a rollback, or a rehearsal that was cut short: what was proven holds no more."""

    @property
    def open(self) -> bool:
        """Whether it is still to come there."""
        return self.outcome is None and bool(self.reason) and not self.taken_back

    @property
    def proven(self) -> bool:
        """Whether it is through, and runs what it got there."""
        return self.outcome in PROVEN and not self.taken_back

    @property
    def why(self) -> str:
        """Why nothing that comes after it may be sent, in words."""
        first = f"campaign {self.campaign_id}, which comes first,"
        if self.open:
            return f"{first} is not through: {self.reason}"
        if self.taken_back:
            return f"{first} was rolled back for it"
        if self.outcome is not None:
            return f"{first} ended for it with {self.outcome}: {self.reason}"
        return f"it has no part in campaign {self.campaign_id}, which comes first"


@dataclass(frozen=True, slots=True)
class Metering:
    """Firmware that its vendor marks as affecting legal metering, and where it is permitted (X14, F60)."""

    artifact_id: str
    countries: tuple[str, ...]
    reason: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Claimant:
    """The campaign in whose name one looks for rivals; "" is one that is still a plan."""

    campaign_id: str
    priority: int
    created_at: datetime
    after: str | None = None
    """The campaign that has to be through with each charger first."""


@dataclass(frozen=True, slots=True)
class Surrounding:
    """All that is stored about some chargers beside their twins; who is not named has nothing."""

    upkeep: Mapping[str, Upkeep] = field(default_factory=dict)
    doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Paths of open critical drifts, a firmware version without suspicion aside: an update may mend it."""
    rivals: Mapping[str, Rival] = field(default_factory=dict)
    before: Mapping[str, Before] = field(default_factory=dict)
    """Of those with a part in the campaign that has to be through with them first."""
    downtime: Mapping[str, tuple[Booking, ...]] = field(default_factory=dict)
    """Planned downtime that had not ended at the instant asked for."""
    full_groups: Mapping[str, str] = field(default_factory=dict)
    """Why a charger has to wait for others of its load group (F33)."""


class UpkeepStore(Protocol):
    """What people said, and the ledger of planned downtime."""

    async def put_upkeep(self, upkeep: Upkeep, only: Collection[str] | None = None) -> None:
        """Only these fields, the others stay; None: all. Raise NotFound for an unknown charger."""

    async def upkeep(self, charger_ids: Sequence[str]) -> Mapping[str, Upkeep]:
        """Of those of whom anything was said."""

    async def surrounding(
        self, claimant: Claimant, charger_ids: Sequence[str], *, downtime_since: datetime | None
    ) -> Surrounding:
        """All of it at one instant; downtime only where an instant is given."""

    async def bookings(
        self, charger_ids: Sequence[str], since: datetime
    ) -> Mapping[str, tuple[Booking, ...]]:
        """Planned downtime that had not ended by then, what lasts included; oldest first."""

    async def before(self, after: str, charger_ids: Sequence[str]) -> Mapping[str, Before]:
        """How chargers stand in the campaign that comes first; of those that have a part in it."""

    async def rooms(self, site_ids: Sequence[str]) -> Mapping[str, SiteRoom]:
        """The budget of each site as it is used now."""

    async def put_closures(self, closures: Sequence[Closure]) -> Sequence[Closure]:
        """All or none; the same again changes nothing. Returns them with their ids."""

    async def closures(self, begin: datetime, end: datetime) -> Sequence[Closure]:
        """Those that touch the time between, by their beginning."""

    async def remove_closure(self, closure_id: str) -> bool:
        """Whether there was one."""

    async def put_metering(self, metering: Metering) -> None:
        """Raise NotFound for an unknown artifact."""

    async def metering(self, artifact_id: str) -> Metering | None:
        """None: it does not affect metering."""
