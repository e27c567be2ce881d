"""The stores of a simulated campaign: those of the unit tests, with what PostgreSQL does beyond them.

Leases run out, routes run out, a mark is one statement with its conditions, and a batch of events is
applied by the very code that the ingest transaction uses (``storage.postgres.batch``).
"""

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from csms.projection import project
from storage.campaign import CampaignPhase, Target
from storage.charger import LeaseAnswer, OutOfService, Route, SiteLease
from storage.errors import NotFound
from storage.events import EventRecord, StoredEvent
from storage.listening import MARK_EVERY, Listened, Span
from storage.parked import DOWNLOAD
from storage.ports import ChargerView
from storage.postgres.batch import Batch, Known, NewEvents, json_text, last_messages
from storage.twin import TwinState
from storage.withdrawal import artifact_subject
from tests.safety.rooms import ParkedImages, Rooms, Upkeep
from tests.support.memory import MemoryLearned
from tests.support.memory_halts import MemoryHalts
from tests.support.memory_kept import MemoryKept
from tests.support.memory_operator import MemoryCommands, MemoryLogs
from tests.support.memory_penalties import MemoryPenalties
from tests.support.memory_publications import MemoryPublications
from tests.support.memory_watch import MemoryHealth
from tests.support.memory_withdrawals import MemoryWithdrawals
from tests.unit.activities.memory import (
    MemoryArtifacts,
    MemoryAudit,
    MemoryCampaigns,
    MemoryChargers,
    MemoryEvents,
    MemoryLeases,
    MemoryOutOfService,
    MemoryRoutes,
    MemoryTickets,
)

Clock = Callable[[], datetime]
LEASE = timedelta(seconds=90)
"""How long a route holds without being renewed."""


class Leases(MemoryLeases):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.refused: Callable[[SiteLease], str | None] = lambda _lease: None
        self.came_back: Callable[[str, str, datetime], None] = lambda *_given: None

    def _alive(self, lease: SiteLease | None) -> SiteLease | None:
        return lease if lease is not None and lease.expires_at > self._clock() else None

    def alive(self) -> list[SiteLease]:
        """Those that hold."""
        return [row for row in self.rows.values() if self._alive(row) is not None]

    def held(self, charger_id: str) -> bool:
        """Whether anybody has it."""
        return self._alive(self.rows.get(charger_id)) is not None

    def _away(self, site_id: str) -> set[str]:
        leased = [row for row in self.alive() if row.kind != DOWNLOAD]
        rows: list[SiteLease | OutOfService] = [*leased, *self.out_of_service.values()]
        return {row.charger_id for row in rows if row.site_id == site_id}

    async def take(self, lease: SiteLease) -> LeaseAnswer:
        most = self.max_down.get(lease.site_id, 1)
        former = self._alive(self.rows.get(lease.charger_id))
        others = len(self._away(lease.site_id) - {lease.charger_id})
        if former is not None and (former.workflow_id, former.run) != (lease.workflow_id, lease.run):
            return LeaseAnswer(False, others + 1, most, former.workflow_id)
        if former is None and others >= most and lease.kind != DOWNLOAD:
            return LeaseAnswer(False, others, most)
        if former is None and (why := self.refused(lease)):
            return LeaseAnswer(False, others, most, refusal=why)
        held = self.rows.get(lease.charger_id)
        if former is None and held is not None:
            self._book(held)
        if held is not None:
            lease = replace(
                lease,
                expires_at=max(held.expires_at, lease.expires_at),
                request_id=lease.request_id
                or (held.request_id if held.workflow_id == lease.workflow_id else None),
            )
        self.rows[lease.charger_id] = lease
        return LeaseAnswer(True, others + 1, most)

    def _book(self, lease: SiteLease) -> None:
        """When it brought its charger back, if it had taken it away."""
        if lease.kind != DOWNLOAD:
            self.came_back(lease.charger_id, lease.site_id, min(lease.expires_at, self._clock()))

    async def release(self, charger_id: str, workflow_id: str, *, run: str = "") -> bool:
        held = self.rows.get(charger_id)
        released = await super().release(charger_id, workflow_id, run=run)
        if held is not None and released:
            self._book(held)
        return released

    async def get(self, charger_id: str) -> SiteLease | None:
        return self._alive(self.rows.get(charger_id))

    async def sweep(self) -> Sequence[SiteLease]:
        swept = [row for row in self.rows.values() if self._alive(row) is None]
        for row in swept:
            del self.rows[row.charger_id]
            self._book(row)
        return swept


class Routes(MemoryRoutes):
    """``rows`` are those that hold; one that ran out and was not taken comes back when it is renewed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._held: dict[str, Route] = {}
        self.epochs: defaultdict[str, int] = defaultdict(int)
        self._first = self._since = clock()
        self._listens = True
        self._spans: list[Span] = []
        self.heard = self._heard

    async def claim(
        self, charger_id: str, node_id: str, boot_id: str, dialect: str, lease: timedelta
    ) -> Route:
        self.epochs[charger_id] += 1
        until = self._clock() + lease
        route = Route(charger_id, node_id, boot_id, self.epochs[charger_id], until, dialect)
        self._held[charger_id] = self.rows[charger_id] = route
        return route

    def listens(self, *, yes: bool) -> None:
        """Some node listens from now on, or none does: its marks come at a pace, and the last was before."""
        now = self._clock()
        if self._listens and not yes:
            self._spans.append(Span(self._since, now - (now - self._since) % MARK_EVERY))
        elif yes and not self._listens:
            self._since = now
        self._listens = yes

    def _heard(self) -> Listened:
        now = self._clock()
        lasting = [Span(self._since, now)] if self._listens else []
        return Listened(now, self._first, (*self._spans, *lasting))

    def lapse(self) -> None:
        """Leases that nobody renewed do not hold."""
        now = self._clock()
        self.rows = {name: row for name, row in self._held.items() if row.lease_until > now}

    def renew(self, charger_id: str, epoch: int) -> bool:
        """Whether it is still this epoch's."""
        row = self._held.get(charger_id)
        if row is None or row.session_epoch != epoch:
            return False
        self._held[charger_id] = replace(row, lease_until=self._clock() + LEASE)
        return True

    async def release(self, charger_id: str, session_epoch: int) -> bool:
        row = self._held.get(charger_id)
        if row is None or row.session_epoch != session_epoch:
            return False
        del self._held[charger_id]
        self.rows.pop(charger_id, None)
        return True

    async def resolve(self, charger_id: str) -> Route | None:
        self.lapse()
        return self.rows.get(charger_id)

    async def live(self, charger_ids: Sequence[str]) -> frozenset[str]:
        self.lapse()
        return await super().live(charger_ids)


class Campaigns(MemoryCampaigns):
    """Tells the referee of every mark and every move."""

    def __init__(self, halts: MemoryHalts, withdrawals: MemoryWithdrawals) -> None:
        super().__init__()
        self._halts = halts
        self._withdrawals = withdrawals
        self.watch: Callable[[Target, Target], None] = lambda _before, _after: None

    async def mark_dispatched(
        self,
        target: Target,
        while_in: CampaignPhase,
        subjects: Sequence[str] = (),
        after: str | None = None,
    ) -> bool:
        held = [artifact_subject(target.artifact_id), *subjects]
        if await self._halts.standing() or await self._withdrawals.in_force(held):
            return False
        return await super().mark_dispatched(target, while_in, subjects, after)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "target_rows":
            value = _Watched(self, value)
        super().__setattr__(name, value)


class _Watched(dict[tuple[str, int, str], Target]):
    def __init__(self, owner: Campaigns, rows: dict[tuple[str, int, str], Target]) -> None:
        super().__init__(rows)
        self._owner = owner

    def __setitem__(self, key: tuple[str, int, str], row: Target) -> None:
        before = self.get(key)
        super().__setitem__(key, row)
        if before is not None:
            self._owner.watch(before, row)


class Ingest:
    """The one transaction behind every answer, by the batch of the real one."""

    def __init__(
        self, chargers: MemoryChargers, events: MemoryEvents, routes: Routes, leases: Leases
    ) -> None:
        self._chargers, self._events, self._routes, self._leases = chargers, events, routes, leases
        self._keys: set[tuple[str, str]] = set()
        self._numbers = itertools.count(1)
        self.outbox: defaultdict[str, deque[tuple[StoredEvent, str, Route]]] = defaultdict(deque)
        self.filled: Callable[[str], None] = lambda _charger_id: None

    def apply(self, record: EventRecord) -> bool:
        """One event; whether it was new."""
        name = record.charger_id
        if record.dedupe_key is not None:
            if (name, record.dedupe_key) in self._keys:
                return False
            self._keys.add((name, record.dedupe_key))
        view, lease = self._chargers.rows[name], self._leases._alive(self._leases.rows.get(name))
        route = self._routes.rows.get(name)
        epoch = self._routes.epochs[name]
        known = Known(
            view.twin,
            epoch,
            route.node_id if route else "",
            route.boot_id if route else "",
            lease.workflow_id if lease else None,
            lease.wake_on if lease else (),
        )
        number = next(self._numbers)
        batch = Batch({name: known}, project)
        batch.apply(record, number)
        heard = last_messages([], [record]).get(name, view.last_message_at)
        twin: TwinState = batch.known[name].twin
        self._chargers.rows[name] = replace(view, twin=twin, last_message_at=heard)
        stored = NewEvents([(0, number)], [record], [json_text(record.event)])[0]
        self._events.rows.append(stored)
        if batch.signals and lease is not None:
            node = Route(name, known.node_id, known.boot_id, epoch, record.received_at, "")
            self.outbox[name].append((stored, lease.workflow_id, node))
            self.filled(name)
        return True


class Chargers(MemoryChargers):
    """A view shows a lease only while it holds."""

    async def get(self, charger_id: str) -> ChargerView:
        view = await super().get(charger_id)
        return replace(view, maintenance=await self._leases.get(charger_id))


class OutOfServices(MemoryOutOfService):
    came_back: Callable[[str, str, datetime], None]
    clock: Clock

    async def remove(self, charger_id: str) -> bool:
        row = self.rows.get(charger_id)
        if row is not None:
            self.came_back(charger_id, row.site_id, self.clock())
        return await super().remove(charger_id)

    async def stranded(self, *, limit: int = 100) -> Sequence[OutOfService]:
        self._routes.lapse()  # type: ignore[attr-defined]
        free = [row for name, row in self.rows.items() if await self._leases.get(name) is None]
        return [row for row in free if row.charger_id in self._routes.rows][:limit]


class Books:
    """All stores of one campaign."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.leases = Leases(clock)
        self.routes = Routes(clock)
        self.penalties = MemoryPenalties()
        self.chargers = Chargers(self.leases, self.penalties)
        self.halts = MemoryHalts()
        self.withdrawals = MemoryWithdrawals()
        self.campaigns = Campaigns(self.halts, self.withdrawals)
        self.campaigns.views = self.chargers.rows
        self.artifacts = MemoryArtifacts()
        self.out_of_service = OutOfServices(self.leases, self.routes)
        self.events = MemoryEvents()
        self.tickets = Tickets()
        self.audit = self.campaigns.audit = MemoryAudit()
        self.commands = MemoryCommands()
        self.logs = MemoryLogs()
        self.health = MemoryHealth()
        self.upkeep = Upkeep(self)
        self.rooms = Rooms(self)
        self.leases.refused, self.leases.came_back = self.rooms.refused, self.rooms.came_back
        self.out_of_service.came_back, self.out_of_service.clock = self.rooms.came_back, clock
        self.learned = MemoryLearned()
        self.kept = MemoryKept()
        self.parked = ParkedImages(self)
        self.publications = MemoryPublications(self.campaigns)
        self.events.signals_late = self._signals_late  # type: ignore[method-assign]
        self.ingest = Ingest(self.chargers, self.events, self.routes, self.leases)

    async def _signals_late(self) -> float:
        """Of the heads of the outbox: each charger's waits longest."""
        heads = [box[0][0].received_at for box in self.ingest.outbox.values() if box]
        return (self.clock() - min(heads)).total_seconds() if heads else 0.0


class Tickets(MemoryTickets):
    async def find(self, ticket_sha256: str) -> Any:
        for row in self.rows:
            if row.ticket_sha256 == ticket_sha256:
                return row
        raise NotFound("ticket", ticket_sha256)
