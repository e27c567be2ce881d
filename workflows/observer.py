"""The observer: moves the projections on as events are committed, and looks for what a person should know.

Sites that went dark, and chargers that are not what they were before their update. It runs in the relay's
process; any number may run, the projections themselves see to it that each event counts once. It is not in
the hot path, and nothing that protects a session waits for it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count

import structlog

from csms import health_hours, service_days, session_records
from storage.charger import STALE_AFTER
from storage.clock import Clock
from storage.errors import AmpwaveError, EngineUnavailable
from storage.incident import Incident, IncidentChange, IncidentKind
from storage.ports import EventStore
from storage.privacy import Keeping
from storage.registry_ports import PrivacyStore, TrustStore
from storage.watching import HealthStore, IncidentStore, Progress, ProjectionStore, ServiceWatch, Updated
from workflows import soak
from workflows.outages import OutageRule, judge
from workflows.soak import SoakRule

_log = structlog.get_logger("observer")

_FORGET_EVERY = 240
"""Rounds of looking at sites."""
_AT_ONCE = 500
"""Chargers whose hours are summed by one query."""


@dataclass(frozen=True, slots=True)
class ObserverStores:
    """What the observer reads and writes."""

    events: EventStore
    projections: ProjectionStore
    incidents: IncidentStore
    health: HealthStore
    trust: TrustStore | None = None
    """None: nobody doubts anybody."""
    service: ServiceWatch | None = None
    """None: nobody asks how chargers served."""
    privacy: PrivacyStore | None = None
    """None: records of sessions are kept for ever."""


@dataclass(frozen=True, slots=True)
class ObserverPace:
    """How it goes about it. Seconds, events, days."""

    batch: int = 1000
    rest_s: float = 1.0
    """Between two rounds: events of so long are read at once."""
    sites_every_s: float = 15.0
    backoff_s: float = 2.0
    keep_hours_days: int = 60
    keeping: Keeping = field(default_factory=Keeping)
    stale_after: timedelta = STALE_AFTER


class Observer:
    """Runs until it is cancelled."""

    def __init__(
        self,
        stores: ObserverStores,
        clock: Clock,
        pace: ObserverPace | None = None,
        rule: OutageRule | None = None,
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._pace = pace or ObserverPace()
        self._rule = rule or OutageRule()
        self._soak = SoakRule().over(stores.health.time)
        self._soaked: datetime | None = None
        """Up to which hour updated chargers were looked at."""
        self._resting: dict[str, datetime] = {}
        """Projections that could not go on, and until when each is left alone; by the loop's clock."""

    async def run(self) -> None:
        """Both watches for ever; an engine that is away is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._project_for_ever())
            group.create_task(self._sites_for_ever())

    async def _project_for_ever(self) -> None:
        async with self._stores.events.changes() as beats:
            while True:
                try:
                    while await self.project():
                        pass
                except EngineUnavailable as error:
                    _log.warning("observer.waiting", error=str(error), seconds=self._pace.backoff_s)
                    await asyncio.sleep(self._pace.backoff_s)
                    continue
                if self._resting:
                    await asyncio.sleep(self._pace.backoff_s)
                    continue
                await _next(beats)
                await asyncio.sleep(self._pace.rest_s)

    async def project(self) -> bool:
        """One step of every projection; whether one of them has more to read.

        One that cannot go on rests for a while, and holds back none of the others.
        """
        more = False
        for name, advance in self._projections().items():
            if name in self._resting and self._resting[name] > self._clock():
                continue
            self._resting.pop(name, None)
            try:
                more |= (await advance()).read == self._pace.batch
            except EngineUnavailable:
                raise
            except Exception:  # noqa: BLE001 - see below
                # The relay shares this process: it must not stop because a projection cannot go on.
                _log.exception("observer.cannot_go_on", projection=name)
                self._resting[name] = self._clock() + timedelta(seconds=self._pace.backoff_s)
        return more

    def _projections(self) -> dict[str, Callable[[], Awaitable[Progress]]]:
        stores, batch = self._stores, self._pace.batch
        concerns, service, trust = session_records.CONCERNS, stores.service, stores.trust
        sessions, health = stores.projections.advance_sessions, stores.projections.advance_health
        # Health first: it reads all events, and the others take what they want of them.
        steps: dict[str, Callable[[], Awaitable[Progress]]] = {
            "health": partial(health, partial(health_hours.fold, time=stores.health.time), limit=batch),
            "sessions": partial(sessions, session_records.fold, limit=batch, kinds=concerns),
        }
        if service:
            fold = partial(service_days.fold, stale_after=self._pace.stale_after)
            steps["service"] = partial(service.advance_service, fold, limit=batch)
        if trust:
            steps["trust"] = partial(trust.advance_trust, limit=batch)
        return steps

    async def _sites_for_ever(self) -> None:
        for round_ in count():
            try:
                await self.look_at_sites()
                await self.look_at_updated()
                if self._stores.trust:
                    await self._stores.trust.recheck()
                if round_ % _FORGET_EVERY == 0:
                    keep = timedelta(days=self._pace.keep_hours_days)
                    await self._stores.health.forget(self._clock() - keep)
                    await self.forget_people()
            except AmpwaveError as error:
                _log.warning("observer.sites_not_seen", error=str(error))
            await asyncio.sleep(self._pace.sites_every_s)

    async def forget_people(self) -> None:
        """What has had its time, a page at a time (F23)."""
        privacy, now, keeping = self._stores.privacy, self._clock(), self._pace.keeping
        if privacy is None:
            return
        while await privacy.forget_sessions(now - keeping.sessions):
            pass
        while await privacy.forget_tokens(now - keeping.tokens):
            pass

    async def look_at_sites(self) -> int:
        """Open and close outages; how many."""
        incidents = self._stores.incidents
        dark = {
            each.subject: frozenset(each.detail.get("chargers", ()))
            for each in await incidents.find(limit=10_000)
            if each.kind is IncidentKind.SITE_OUTAGE
        }
        judged = (
            judge(site, dark.get(f"site/{site.site_id}"), self._rule, self._clock())
            for site in await incidents.sites()
        )
        return await incidents.apply([change for change in judged if change is not None])

    async def look_at_updated(self) -> int:
        """Once in an hour, when all of the last one was read: who departs from its own normal (F31)."""
        until = self._stores.health.time.begin(self._clock())
        if until == self._soaked:
            return 0
        incidents, found = self._stores.incidents, 0
        told = [
            each
            for each in await incidents.find(open_only=False, limit=10_000)
            if each.kind is IncidentKind.UPDATE_DEPARTURE
        ]
        known = {_of(each).charger_id: _of(each) for each in told if each.closed_at is None}
        looked_into = {_of(each) for each in told if each.closed_by is not None}
        for begin, updates in (await self._soaking(until, known, looked_into)).items():
            for first in range(0, len(updates), _AT_ONCE):
                changes = await self._soaked_since(begin, until, updates[first : first + _AT_ONCE], known)
                if changes is None:
                    return found  # what was not read yet is unknown: the next round looks again
                found += await incidents.apply(changes)
        self._soaked = until
        return found

    async def _soaked_since(
        self, begin: datetime, until: datetime, updates: Sequence[Updated], known: Collection[str]
    ) -> Sequence[IncidentChange] | None:
        """What is to be told of these; None: the projection has not read so far yet."""
        of = {each.charger_id: each for each in updates}
        fleet = await self._stores.health.signals(list(of), begin, until, self._soak.baseline)
        if fleet.watermark.through is None or fleet.watermark.through < until:
            return None
        judged = (
            soak.judge(of[each.charger_id], fleet, each, self._soak, known=each.charger_id in known)
            for each in fleet.chargers
        )
        return [change for change in judged if change is not None]

    async def _soaking(
        self, until: datetime, known: Mapping[str, Updated], looked_into: Collection[Updated]
    ) -> Mapping[datetime, Sequence[Updated]]:
        """Who is to be looked at, by the first whole hour after the update.

        Not an update whose departure a person closed: that one was looked into, and would open every hour.
        """
        time = self._stores.health.time
        since = until - self._soak.soak - time.hour
        fresh = [each for each in await self._stores.health.updated(since) if each not in looked_into]
        updates = {**known, **{each.charger_id: each for each in fresh}}
        groups: defaultdict[datetime, list[Updated]] = defaultdict(list)
        for each in updates.values():
            begin = time.begin(each.at) + time.hour
            if begin < until:
                groups[begin].append(each)
        return groups


def _of(incident: Incident) -> Updated:
    """The update that a departure follows."""
    detail = incident.detail
    at = datetime.fromisoformat(detail["updated_at"])
    return Updated(incident.subject.removeprefix("charger/"), detail["campaign_id"], detail["version"], at)


async def _next(beats: AsyncIterator[None]) -> None:
    with suppress(StopAsyncIteration):
        await anext(beats)
