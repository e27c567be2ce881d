"""A charger that departs from its own normal after an update is one incident, which the observer closes."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from csms.projection import project
from storage.campaign import Campaign, CampaignPhase, CampaignPlan, Outcome, Target, WavePlan
from storage.canonical import digest
from storage.charger import ChargerFilter
from storage.events import ChargerBooted, Event, EventRecord, HeartbeatReceived
from storage.incident import Closing, IncidentKind
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.health import PostgresHealthStore
from storage.postgres.incidents import PostgresIncidentStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.projections import PostgresProjectionStore
from storage.watching import Updated
from workflows.observer import Observer, ObserverStores

pytestmark = pytest.mark.integration
AT = datetime(2026, 10, 1, 12, 20, tzinfo=UTC)
"""When A and B proved their new version."""
PLAN = CampaignPlan("soak", "a" * 64, ChargerFilter(), (WavePlan("all", 1.0),))
TARGETS = [
    Target("c1", 0, place, name, "s1", "a" * 64, "1.0", "1.1") for place, name in enumerate(("A", "B"))
]


class World:
    """Stores over a real server, and an observer with a clock of its own."""

    def __init__(self, engine: Any) -> None:
        self.now = AT
        self._ingest = PostgresIngestStore(engine)
        self.incidents, self.health = PostgresIncidentStore(engine), PostgresHealthStore(engine)
        stores = ObserverStores(
            cast("Any", None), PostgresProjectionStore(engine), self.incidents, self.health
        )
        self.observer = Observer(stores, lambda: self.now)

    async def tell(self, hour: float, event: Event, charger_id: str = "A") -> None:
        at = AT + timedelta(hours=hour)
        await self._ingest.commit([], [EventRecord(charger_id, event, at, at, 1)], project)

    async def look(self, hour: float) -> int:
        while await self.observer.project():
            pass
        self.now = AT + timedelta(hours=hour)
        return await self.observer.look_at_updated()


@pytest.fixture
async def world(engine: Any, chargers: Any) -> World:
    campaigns = PostgresCampaignStore(engine)
    await campaigns.create(
        Campaign("c1", PLAN, digest(PLAN), CampaignPhase.DRAFT, "ann", AT, cohort_size=2), TARGETS, []
    )
    for name in ("A", "B"):
        await campaigns.finish_target("c1", 0, name, Outcome.UPDATED, "attested", AT)
    found = World(engine)
    for hour in range(-30, 0):
        for name in ("A", "B"):
            await found.tell(hour, HeartbeatReceived(), name)
    return found


@pytest.mark.requirement("F31")
async def test_a_departure_within_the_soak_is_one_incident_until_it_is_over(world: World) -> None:
    assert await world.health.updated(AT) == [Updated(name, "c1", "1.1", AT) for name in ("A", "B")]
    for minute in range(0, 60, 12):
        await world.tell(1 + minute / 60, ChargerBooted("Volt", "V2", "1.1"))
    await world.tell(1, HeartbeatReceived(), "B")
    assert await world.look(0.5) == 0, "no whole hour has passed since the update"
    assert [await world.look(3), await world.look(3.2), await world.look(4)] == [1, 0, 0]
    (incident,) = await world.incidents.find()
    assert (incident.kind, incident.subject) == (IncidentKind.UPDATE_DEPARTURE, "charger/A")
    assert "5 restarts in 2 hours, usual 0.0" in incident.summary
    assert incident.detail["version"] == "1.1"
    for hour in range(4, 60):
        await world.tell(hour, HeartbeatReceived())
    assert await world.look(24 * 31) == 1, "long after the soak, while nobody closed it"
    assert await world.incidents.find() == []


async def test_a_departure_that_a_person_closed_stays_closed(world: World) -> None:
    for minute in range(0, 60, 12):
        await world.tell(1 + minute / 60, ChargerBooted("Volt", "V2", "1.1"))
    assert await world.look(3) == 1
    (incident,) = await world.incidents.find()
    await world.incidents.end(Closing(incident.incident_id, "ada", "a loose cable", world.now))
    assert [await world.look(hour) for hour in (4, 5)] == [0, 0]
    assert await world.incidents.find() == []


async def test_hours_that_were_not_read_yet_are_unknown_and_looked_at_again(world: World) -> None:
    for minute in range(0, 60, 12):
        await world.tell(1 + minute / 60, ChargerBooted("Volt", "V2", "1.1"))
    world.now = AT + timedelta(hours=3)
    assert await world.observer.look_at_updated() == 0, "the projection never ran"
    assert await world.look(3) == 1
