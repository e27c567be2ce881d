"""Activities on one charger that need no socket: read what the store knows, close its books."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from temporalio import activity

from activities.availability import still_at_work
from activities.conclusion import Books, ConcludeInput
from activities.errors import mapped
from activities.facts import SIGHTED, AttemptFacts, RouteFacts, sighting_in
from activities.recalling import RecallNote
from activities.silence import Lessons, silence_of, stuck_in, trail_of
from activities.steadiness import restless
from activities.stores import Stores
from activities.waiting import LongerWait, hold_on
from storage.campaign import TargetPhase
from storage.charger import OutOfService
from storage.learned import Trail
from storage.listening import breaks
from storage.ports import ChargerView

_MARKED = frozenset({TargetPhase.DISPATCHED, TargetPhase.CONFIRMING})
_KINDS = tuple(kind.value for kind in SIGHTED)
MOST_AT_ONCE, MOST_LOOKED_AT = 100, 2000
"""Chargers that one round puts back, and out of so many."""


@dataclass(frozen=True, slots=True)
class ReconcileInput:
    """Which attempt, and since when events count."""

    campaign_id: str
    wave: int
    charger_id: str
    since: datetime


class Stranded(NamedTuple):
    """A charger that is out of service through us, on which nobody works, and how it is reached."""

    charger_id: str
    route: RouteFacts


class ChargerActivities:
    """Reads and closes; never speaks to a charger."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._books = Books(stores)
        self._lessons = Lessons(stores)

    @activity.defn
    @mapped
    async def resolve_route(self, charger_id: str) -> RouteFacts | None:
        """The live route to a charger, or None."""
        route = await self._stores.routes.resolve(charger_id)
        return RouteFacts(route.node_id, route.boot_id, route.session_epoch) if route else None

    @activity.defn
    @mapped
    async def reconcile_update(self, given: ReconcileInput) -> AttemptFacts:
        """Everything the store knows of an attempt: signals are hints, this is the truth."""
        stores = self._stores
        target = await stores.campaigns.target(given.campaign_id, given.wave, given.charger_id)
        view = await stores.chargers.get(given.charger_id)
        events = await stores.events.since(given.charger_id, given.since, _KINDS)
        found = [sighting_in(one.sequence, one.received_at, one.kind.value, one.body) for one in events]
        sightings = tuple(sighting for sighting in found if sighting is not None)
        connectivity, route = view.twin.connectivity, await self.resolve_route(given.charger_id)
        online = connectivity is not None and connectivity.online
        here = online and route is not None
        return AttemptFacts(
            route=route,
            online=online,
            last_message_at=view.last_message_at,
            request_id=target.request_id,
            sightings=sightings,
            marked=target.attempt if target.phase in _MARKED else None,
            silence=None if here else await silence_of(stores, self._lessons, view),
            stuck=await self._stuck(view, trail_of(target, sightings)) if here else "",
            stale_s=view.stale_after.total_seconds(),
            breaks=breaks(await stores.routes.listened(given.since), given.since),
        )

    @activity.defn
    @mapped
    async def note_recall(self, given: RecallNote) -> None:
        """Write down what is known of one that was called back, for people; one that is done is done."""
        campaigns = self._stores.campaigns
        target = await campaigns.target(given.campaign_id, given.wave, given.charger_id)
        if target.recalled and target.phase is not TargetPhase.DONE:
            text = f"{target.recalled}; {given.text}"
            await campaigns.say_of_target(given.campaign_id, given.wave, given.charger_id, text)

    @activity.defn
    @mapped
    async def wait_longer(self, given: LongerWait) -> None:
        """Write down why an attempt is waited for beyond its deadline, and keep its site's place as long."""
        await hold_on(self._stores, given)

    async def _stuck(self, view: ChargerView, trail: Trail | None) -> str:
        if trail is None:
            return ""
        return stuck_in(await self._lessons.of(view), trail, self._stores.clock())

    @activity.defn
    @mapped
    async def close_update(self, given: ConcludeInput) -> None:
        """Close the books of a charger that cannot be reached, or was never touched."""
        await self._books.close(given)

    @activity.defn
    @mapped
    async def sweep_leases(self) -> int:
        """Remove site leases that expired: their workflow is gone. Returns how many; each is on record.

        With them what was noted of chargers before updates that nobody will compare any more (X9).
        """
        await self._stores.kept.sweep()
        swept = await self._stores.leases.sweep()
        for lease in swept:
            await self._stores.record(
                "housekeeping",
                "lease.expired",
                f"charger/{lease.charger_id}",
                kind=lease.kind,
                request_id=lease.request_id,
                follow_up="its maintenance did not conclude; housekeeping puts it back when it is connected",
            )
        return len(swept)

    @activity.defn
    @mapped
    async def find_stranded(self) -> tuple[Stranded, ...]:
        """Connected chargers that we left out of service. One that installs or restarts stays so."""
        found: list[Stranded] = []
        # Beyond those that restart for ever, or nobody else would have a turn.
        for row in await self._stores.out_of_service.stranded(limit=MOST_LOOKED_AT):
            if len(found) == MOST_AT_ONCE:
                break
            route = await self.resolve_route(row.charger_id)
            if route is not None and not await self._busy_with_itself(row):
                found.append(Stranded(row.charger_id, route))
        return tuple(found)

    async def _busy_with_itself(self, row: OutOfService) -> bool:
        return await still_at_work(self._stores, row) or await restless(self._stores, row)
