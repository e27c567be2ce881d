"""A double of the charger store, for unit tests only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from storage.charger import (
    Charger,
    ChargerCredential,
    ChargerFilter,
    FleetCounts,
    FleetGroup,
    FleetGroups,
    GroupQuestion,
    ModelProfile,
    Site,
)
from storage.errors import Conflict, NotFound
from storage.ports import ChargerView, Page
from storage.query.checker import condition_of, groups_of
from storage.twin import Lifecycle, TwinState
from tests.support.memory import page_of
from tests.support.memory_glances import MemoryGlances
from tests.support.query_oracle import Seen, holds, values


class MemoryChargers(MemoryGlances):
    def __init__(self, now: datetime = datetime(2026, 11, 20, tzinfo=UTC)) -> None:
        self.now = now
        self.by_site: dict[str, Site] = {}
        self.models: dict[tuple[str, str], ModelProfile] = {}
        self.all: dict[str, ChargerView] = {}
        self.credentials: dict[str, ChargerCredential] = {}

    async def put_site(self, site: Site) -> None:
        self.by_site[site.site_id] = site

    async def sites(self) -> Sequence[Site]:
        return list(self.by_site.values())

    async def site(self, site_id: str) -> Site | None:
        return self.by_site.get(site_id)

    async def put_model(self, profile: ModelProfile) -> None:
        self.models[profile.vendor, profile.model] = profile

    async def model(self, vendor: str, model: str) -> ModelProfile | None:
        return self.models.get((vendor, model))

    async def register(self, charger: Charger, credential: ChargerCredential | None) -> None:
        there = self.all.get(charger.charger_id)
        if there and replace(there.charger, registered_at=charger.registered_at) != charger:
            raise Conflict(f"{charger.charger_id} is registered already, with other values.")
        if there is None:
            self.all[charger.charger_id] = ChargerView(charger, TwinState(charger.charger_id))
        if credential:
            self.credentials[charger.charger_id] = credential

    async def set_lifecycle(self, charger_id: str, lifecycle: Lifecycle) -> None:
        view = await self.get(charger_id)
        self.all[charger_id] = replace(view, charger=replace(view.charger, lifecycle=lifecycle))

    async def get(self, charger_id: str) -> ChargerView:
        try:
            return self.all[charger_id]
        except KeyError:
            raise NotFound("charger", charger_id) from None

    async def find(
        self, where: ChargerFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[ChargerView]:
        views = [view for _, view in sorted(self.all.items()) if self._matches(view, where)]
        return page_of(views, limit, cursor)

    async def names(self, where: ChargerFilter) -> frozenset[str]:
        return frozenset(name for name, view in self.all.items() if self._matches(view, where))

    def _matches(self, view: ChargerView, where: ChargerFilter) -> bool:
        asked = where.query is None or holds(condition_of(where.query), Seen(view, self.now)) is True
        return asked and _matches(view, where)

    async def count_by(self, where: ChargerFilter, question: GroupQuestion) -> FleetGroups:
        by = groups_of(question.by)
        views = [view for view in self.all.values() if self._matches(view, where)]
        seen = [Seen(view, self.now) for view in views]
        keys = Counter(tuple(values(subject, each)[0] for subject in by) for each in seen)
        shown = tuple(FleetGroup(key, count, 0) for key, count in keys.most_common(question.top))
        rest = len(views) - sum(group.count for group in shown)
        other = FleetGroup((), rest, 0) if rest else None
        names = tuple(subject.name for subject in by)
        return FleetGroups(names, self.now, len(views), shown, other, len(keys) - len(shown))

    async def views(self, charger_ids: Sequence[str]) -> Sequence[ChargerView]:
        return [self.all[each] for each in charger_ids if each in self.all]

    async def counts(self) -> FleetCounts:
        views = list(self.all.values())
        versions: dict[str, int] = {}
        models: dict[str, int] = {}
        for view in views:
            version = (view.twin.firmware.version if view.twin.firmware else None) or "unknown"
            versions[version] = versions.get(version, 0) + 1
            model = f"{view.charger.vendor} {view.charger.model}"
            models[model] = models.get(model, 0) + 1
        return FleetCounts(
            total=len(views),
            online=sum(bool(v.twin.connectivity and v.twin.connectivity.online) for v in views),
            charging=sum(bool(v.twin.operation and v.twin.operation.transactions) for v in views),
            faulted=sum(_has_fault(v) for v in views),
            in_maintenance=sum(v.maintenance is not None for v in views),
            by_version=versions,
            by_model=models,
        )


def _has_fault(view: ChargerView) -> bool:
    connectors = view.twin.operation.connectors.values() if view.twin.operation else ()
    return any(connector.status == "Faulted" for connector in connectors)


def _matches(view: ChargerView, where: ChargerFilter) -> bool:
    charger, twin = view.charger, view.twin
    version = twin.firmware.version if twin.firmware else None
    online = bool(twin.connectivity and twin.connectivity.online)
    wanted = [
        (where.vendor, charger.vendor),
        (where.model, charger.model),
        (where.site_id, charger.site_id),
        (where.firmware_version, version),
        (where.online, online),
    ]
    named = not where.charger_ids or charger.charger_id in where.charger_ids
    return named and all(asked is None or asked == has for asked, has in wanted)
