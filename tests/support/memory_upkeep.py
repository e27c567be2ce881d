"""A double of the upkeep store, for unit tests only: what a test puts in is what everybody reads."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime

from storage.canonical import digest
from storage.upkeep import Before, Booking, Claimant, Metering, Rival, SiteRoom, Surrounding, Upkeep
from storage.windows import Closure


class MemoryUpkeep:
    def __init__(self) -> None:
        self.said: dict[str, Upkeep] = {}
        self.doubts: dict[str, tuple[str, ...]] = {}
        self.rivals: dict[str, Rival] = {}
        self.downtime: dict[str, tuple[Booking, ...]] = {}
        self.standings: Callable[[str], dict[str, Before]] = lambda _after: {}
        self.site_rooms: dict[str, SiteRoom] = {}
        self.closed: dict[str, Closure] = {}
        self.billing: dict[str, Metering] = {}

    async def put_upkeep(self, upkeep: Upkeep, only: Collection[str] | None = None) -> None:
        former = self.said.get(upkeep.charger_id) or Upkeep(upkeep.charger_id)
        names = {*only, "changed_by"} if only is not None else {each.name for each in fields(Upkeep)}
        changes = {name: getattr(upkeep, name) for name in names}
        self.said[upkeep.charger_id] = replace(former, **changes)

    async def upkeep(self, charger_ids: Sequence[str]) -> Mapping[str, Upkeep]:
        return {name: self.said[name] for name in charger_ids if name in self.said}

    async def surrounding(
        self, claimant: Claimant, charger_ids: Sequence[str], *, downtime_since: datetime | None
    ) -> Surrounding:
        others = {name: one for name, one in self.rivals.items() if one.campaign_id != claimant.campaign_id}
        before = await self.before(claimant.after, charger_ids) if claimant.after else {}
        return Surrounding(self.said, self.doubts, others, before, self.downtime if downtime_since else {})

    async def bookings(
        self, charger_ids: Sequence[str], since: datetime
    ) -> Mapping[str, tuple[Booking, ...]]:
        return {
            name: tuple(one for one in self.downtime[name] if one.ended > since)
            for name in charger_ids
            if name in self.downtime
        }

    async def before(self, after: str, charger_ids: Sequence[str]) -> Mapping[str, Before]:
        return {name: one for name, one in self.standings(after).items() if name in charger_ids}

    async def rooms(self, site_ids: Sequence[str]) -> Mapping[str, SiteRoom]:
        return {name: self.site_rooms.get(name, SiteRoom()) for name in site_ids}

    async def put_closures(self, closures: Sequence[Closure]) -> Sequence[Closure]:
        rows = [replace(one, closure_id=digest(replace(one, closure_id=""))[:16]) for one in closures]
        self.closed |= {row.closure_id: row for row in rows}
        return rows

    async def closures(self, begin: datetime, end: datetime) -> Sequence[Closure]:
        return [one for one in self.closed.values() if one.ends > begin and one.begins < end]

    async def remove_closure(self, closure_id: str) -> bool:
        return self.closed.pop(closure_id, None) is not None

    async def put_metering(self, metering: Metering) -> None:
        self.billing[metering.artifact_id] = metering

    async def metering(self, artifact_id: str) -> Metering | None:
        return self.billing.get(artifact_id)
