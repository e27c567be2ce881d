"""What is asked of the engines for session records, health signals and incidents; like ``ports``."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from storage.charger import Route
from storage.charging import ChargingSession
from storage.events import EventKind, StoredEvent
from storage.health import FleetSignals, FleetSpans, HealthChange, HealthMemory, SpanQuery, Watermark
from storage.health_time import HealthTime
from storage.incident import Closing, Incident, IncidentChange, IncidentKind
from storage.recording import RecordingStore
from storage.service import ServiceFold, ServiceStore

Sessions = dict[tuple[str, str], ChargingSession]
"""By (charger, transaction id)."""


@dataclass(frozen=True, slots=True)
class SessionChange:
    """What a batch of events changes: the records that are new or different, and incidents."""

    sessions: Sessions
    incidents: tuple[IncidentChange, ...] = ()


SessionFold = Callable[[Sessions, Sequence[StoredEvent]], SessionChange]
"""Pure. It is given every open session of the chargers in the batch, and every one that the batch names."""
HealthFold = Callable[[dict[str, HealthMemory], Sequence[StoredEvent]], HealthChange]
"""Pure. It is given what is remembered of the chargers in the batch."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a projection. ``read`` None: another process is at it just now."""

    read: int | None
    watermark: Watermark


class ProjectionStore(Protocol):
    """Incremental projections of the event log.

    One transaction takes the projection's row, reads on from its watermark, folds, writes, and moves the
    watermark: a step happens once or not at all, whoever is killed and however many run (skip locked).
    """

    async def advance_sessions(
        self, fold: SessionFold, *, limit: int = 1000, kinds: Collection[EventKind] = ()
    ) -> Progress:
        """One step of the session records, of at most so many events; no ``kinds``: of all kinds."""

    async def advance_health(self, fold: HealthFold, *, limit: int = 1000) -> Progress:
        """One step of the health hours."""


@dataclass(frozen=True, slots=True)
class DoubtfulSession:
    """A session that its charger should be asked about, and how the charger is reached."""

    session: ChargingSession
    route: Route
    doubt: str


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """An event or a frame of a charger, in the order in which they came."""

    at: datetime
    """Server time."""
    position: str
    """Opaque: where to go on from."""
    event: StoredEvent | None = None
    direction: str | None = None
    text: str | None = None
    """The frame as journaled, secrets redacted."""
    answer: str | None = None
    """What we answered to it, where the answer is no frame of its own."""


class SessionStore(Protocol):
    """Reading session records."""

    async def get(self, charger_id: str, transaction_id: str) -> ChargingSession:
        """Raise NotFound."""

    async def of_charger(
        self, charger_id: str, *, limit: int = 100, before: str | None = None
    ) -> Sequence[tuple[str, ChargingSession]]:
        """Latest first, each with its position for ``before``."""

    async def doubtful(
        self, now: datetime, quiet: timedelta, *, again_after: timedelta, limit: int = 100
    ) -> Sequence[DoubtfulSession]:
        """Open ones in doubt, quiet, or on a free connector, whose charger is connected; longest first.

        Not those that were asked about, or already found stuck and asked about, within ``again_after``.
        """

    async def timeline(
        self, charger_id: str, since: datetime, until: datetime, *, limit: int = 500, after: str | None = None
    ) -> Sequence[TimelineEntry]:
        """Every frame and event of a charger within a span of server time, oldest first."""


@dataclass(frozen=True, slots=True)
class Updated:
    """A charger that proved its new version, and when."""

    charger_id: str
    campaign_id: str
    version: str
    at: datetime


class HealthStore(Protocol):
    """Reading health signals."""

    @property
    def time(self) -> HealthTime:
        """How long the hours are that are kept."""

    async def signals(
        self, charger_ids: Sequence[str], since: datetime, until: datetime, baseline: timedelta
    ) -> FleetSignals:
        """Of these chargers, in one query; hours count whole, from the one that ``since`` falls into."""

    async def spans(self, queries: Sequence[SpanQuery], until: datetime, baseline: timedelta) -> FleetSpans:
        """Each charger over a span of its own, whole hours only, in one query; unknown ones are left out."""

    async def updated(self, since: datetime) -> Sequence[Updated]:
        """Every charger that a campaign has updated since then, with its latest update."""

    async def forget(self, before: datetime) -> int:
        """Remove older hours; how many."""


@dataclass(frozen=True, slots=True)
class SiteLoss:
    """A site's chargers at one instant, as far as their own sockets told."""

    site_id: str
    total: int
    """Chargers that ever connected and are in service."""
    lost: tuple[tuple[str, datetime], ...]
    """Those whose socket closed and is not back, and since when; one in maintenance is not lost."""


class IncidentStore(Protocol):
    """Incidents."""

    async def apply(self, changes: Sequence[IncidentChange]) -> int:
        """Open and close; how many made a difference."""

    async def get(self, incident_id: int) -> Incident:
        """Raise NotFound."""

    async def end(self, given: Closing) -> Incident:
        """Close one by hand and audit it, in one transaction. Raises NotFound, Conflict (it is closed)."""

    async def find(
        self, *, open_only: bool = True, limit: int = 100, kind: IncidentKind | None = None
    ) -> Sequence[Incident]:
        """Latest first."""

    async def sites(self) -> Sequence[SiteLoss]:
        """Every site that has lost somebody, or has an open outage."""


class ServiceWatch(ServiceStore, Protocol):
    """How chargers served; kept by the observer."""

    async def advance_service(self, fold: ServiceFold, *, limit: int = 1000) -> Progress:
        """One step of the projection."""


@dataclass(frozen=True, slots=True)
class WatchStores:
    """All of it."""

    sessions: SessionStore
    health: HealthStore
    incidents: IncidentStore
    projections: ProjectionStore
    service: ServiceWatch
    recordings: RecordingStore
