"""In-memory doubles of the ports for sessions, health and incidents: for unit tests of the api only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from storage.charging import ChargingSession
from storage.errors import Conflict, InvalidInput, NotFound
from storage.health import (
    ChargerSignals,
    ChargerSpan,
    FleetSignals,
    FleetSpans,
    HealthHour,
    SpanQuery,
    Watermark,
)
from storage.health_time import REAL
from storage.incident import Closing, Incident, IncidentChange
from storage.recording import Forecast, Recorded
from storage.service import GroupBy, Metering, ServiceDay, ServiceGroup, ServiceReport
from storage.watching import TimelineEntry, Updated, WatchStores


class MemorySessions:
    """Sessions and timeline entries as the test puts them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], ChargingSession] = {}
        self.entries: list[TimelineEntry] = []

    async def get(self, charger_id: str, transaction_id: str) -> ChargingSession:
        try:
            return self.rows[charger_id, transaction_id]
        except KeyError:
            raise NotFound(f"session of {charger_id}", transaction_id) from None

    async def of_charger(
        self, charger_id: str, *, limit: int = 100, before: str | None = None
    ) -> Sequence[tuple[str, ChargingSession]]:
        mine = [(name, row) for (owner, name), row in sorted(self.rows.items()) if owner == charger_id]
        names = [name for name, _ in mine]
        if before is not None and before not in names:
            raise InvalidInput("This cursor is none of ours.")
        start = names.index(before) + 1 if before else 0
        return mine[start : start + limit]

    async def timeline(
        self, charger_id: str, since: datetime, until: datetime, *, limit: int = 500, after: str | None = None
    ) -> Sequence[TimelineEntry]:
        places = [each.position for each in self.entries]
        if after is not None and after not in places:
            raise InvalidInput("This cursor is none of ours.")
        start = places.index(after) + 1 if after else 0
        return [each for each in self.entries[start:] if since <= each.at <= until][:limit]


class MemoryHealth:
    """Signals as the test puts them; remembers what was asked."""

    def __init__(self) -> None:
        self.time = REAL
        self.rows: dict[str, ChargerSignals] = {}
        self.watermark = Watermark()
        self.updates: list[Updated] = []
        self.life: Callable[[SpanQuery, datetime], ChargerSpan] | None = None
        """How a charger fared over a span; None: nothing is known of any."""

    async def spans(self, queries: Sequence[SpanQuery], until: datetime, baseline: timedelta) -> FleetSpans:
        found = tuple(self.life(each, until) for each in queries) if self.life else ()
        return FleetSpans(Watermark(1, until), found)

    async def signals(
        self, charger_ids: Sequence[str], since: datetime, until: datetime, baseline: timedelta
    ) -> FleetSignals:
        begin = self.time.begin(since)
        found = tuple(self.rows[name] for name in charger_ids if name in self.rows)
        return FleetSignals(self.watermark, begin, until, begin - baseline, found, self.time.hour)

    async def updated(self, since: datetime) -> Sequence[Updated]:
        return [each for each in self.updates if each.at >= since]


class MemoryIncidents:
    """Incidents as the test puts them."""

    def __init__(self) -> None:
        self.rows: list[Incident] = []

    async def apply(self, changes: Sequence[IncidentChange]) -> int:
        done = 0
        for change in changes:
            mine = [
                place
                for place, each in enumerate(self.rows)
                if (each.kind, each.subject, each.closed_at) == (change.kind, change.subject, None)
            ]
            if change.close and mine:
                self.rows[mine[0]] = replace(self.rows[mine[0]], closed_at=change.at)
            elif not change.close and not mine:
                number = len(self.rows) + 1
                self.rows.append(
                    Incident(
                        number, change.kind, change.subject, change.summary, change.at, None, change.detail
                    )
                )
            else:
                continue
            done += 1
        return done

    async def find(self, *, open_only: bool = True, limit: int = 100) -> Sequence[Incident]:
        return [each for each in self.rows if not (open_only and each.closed_at)][:limit]

    async def get(self, incident_id: int) -> Incident:
        found = [each for each in self.rows if each.incident_id == incident_id]
        if not found:
            raise NotFound("incident", str(incident_id))
        return found[0]

    async def end(self, given: Closing) -> Incident:
        known = await self.get(given.incident_id)
        if known.closed_at is not None:
            raise Conflict(f"Incident {given.incident_id} is closed already.")
        closed = replace(known, closed_at=given.at, closed_by=given.actor, close_reason=given.reason)
        self.rows = [closed if each is known else each for each in self.rows]
        return closed


class MemoryService:
    """How chargers served, as the test puts it."""

    def __init__(self) -> None:
        self.groups: tuple[ServiceGroup, ...] = ()
        self.by_day: dict[str, list[tuple[date, ServiceDay]]] = {}
        self.meters: dict[str, Metering] = {}
        self.through: datetime | None = None
        self.asked: list[tuple[GroupBy, date, Sequence[str] | None]] = []

    async def report(
        self, by: GroupBy, since: date, now: datetime, *, charger_ids: Sequence[str] | None = None
    ) -> ServiceReport:
        self.asked.append((by, since, charger_ids))
        return ServiceReport(since, now, Watermark(1, self.through), self.groups)

    async def days(self, charger_id: str, since: date, now: datetime) -> Sequence[tuple[date, ServiceDay]]:
        return [each for each in self.by_day.get(charger_id, []) if each[0] >= since]

    async def metering(self, charger_id: str) -> Metering:
        return self.meters.get(charger_id, Metering())


class MemoryRecordings:
    """Recordings and forecasts as the test puts them."""

    def __init__(self) -> None:
        self.since: datetime | None = None
        self.rows: dict[str, Recorded] = {}
        self.counted: dict[str, dict[int, HealthHour]] = {}
        self.forecasts: dict[str, Forecast] = {}

    async def begun(self, since: datetime) -> datetime | None:
        return max(self.since, since) if self.since else None

    async def read(self, charger_ids: Sequence[str], since: datetime, until: datetime) -> Sequence[Recorded]:
        return [self.rows.get(name, Recorded(name)) for name in charger_ids]

    async def hours(
        self, charger_ids: Sequence[str], since: datetime, until: datetime
    ) -> Mapping[str, Mapping[int, HealthHour]]:
        return {name: self.counted[name] for name in charger_ids if name in self.counted}

    async def keep(self, forecast: Forecast) -> None:
        self.forecasts[forecast.plan_digest] = forecast

    async def forecast(self, plan_digest: str) -> Forecast | None:
        return self.forecasts.get(plan_digest)


def memory_watch() -> WatchStores:
    """All of it that the api reads."""
    none: Any = None
    service, recordings = MemoryService(), MemoryRecordings()
    return WatchStores(MemorySessions(), MemoryHealth(), MemoryIncidents(), none, service, recordings)  # type: ignore[arg-type]
