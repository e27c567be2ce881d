"""Images that are fetched ahead: who holds one, and who is away meanwhile (R20)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage.campaign import Campaign, CampaignPhase, CampaignPlan, Outcome, Target, WavePlan
from storage.canonical import digest
from storage.charger import Charger, ChargerFilter, Site, SiteLease
from storage.halt import EVERYTHING
from storage.parked import DOWNLOAD, Parked, Parking
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.halts import PostgresHaltStore
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.parked import PostgresParkedStore
from storage.postgres.routes import PostgresRouteStore
from tests.integration.storage.conftest import NOW

pytestmark = [pytest.mark.integration, pytest.mark.requirement("R20")]
IMAGE = "a" * 64
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOTE = Parked("A", "c1", 0, 7, "c1.0.0.3", IMAGE, "1.1", LONG_AGO)
RUNNING = CampaignPhase.RUNNING


@pytest.fixture
async def campaigns(engine) -> PostgresCampaignStore:
    chargers = PostgresChargerStore(engine)
    await chargers.put_site(Site("s1", "Depot", "Europe/Berlin", 1))
    for name in ("A", "B"):
        await chargers.register(Charger(name, "s1", "Volt", "V2"), None)
    store = PostgresCampaignStore(engine)
    plan = CampaignPlan("c", IMAGE, ChargerFilter(), (WavePlan("all", 1.0),))
    campaign = Campaign("c1", plan, digest(plan), CampaignPhase.DRAFT, "ann", NOW, cohort_size=1)
    await store.create(campaign, [Target("c1", 0, 0, "A", "s1", IMAGE, "1.0", "1.1")], [])
    await store.set_phase("c1", RUNNING, "", NOW)
    return store


@pytest.fixture
def parked(engine) -> PostgresParkedStore:
    return PostgresParkedStore(engine)


async def test_it_is_noted_only_while_it_may_be_sent(engine, campaigns, parked) -> None:
    halts = PostgresHaltStore(engine)
    assert not await parked.park(NOTE, CampaignPhase.PAUSED)
    assert not await parked.park(replace(NOTE, charger_id="B"), RUNNING), "no target of it"
    await halts.pull(EVERYTHING, "ann", "smoke", NOW)
    assert not await parked.park(NOTE, RUNNING)
    assert await parked.get("A") is None


async def test_a_note_goes_from_asked_to_fetched_and_away(campaigns, parked) -> None:
    assert await parked.park(NOTE, RUNNING)
    assert await parked.get("A") == NOTE
    assert NOTE.issue == 3
    assert not await parked.settle("A", 8, Parking.FETCHED), "of another order"
    assert await parked.settle("A", 7, Parking.FETCHED)
    again = replace(NOTE, request_id=9, since=NOW + timedelta(hours=1))
    assert await parked.park(again, RUNNING)
    assert await parked.of(["A", "B"]) == {"A": again}
    assert not await parked.forget("A", 7)
    assert await parked.forget("A")
    assert not await parked.forget("A")


async def test_haste_is_remembered_for_the_model(campaigns, parked) -> None:
    await parked.park(NOTE, RUNNING)
    assert await parked.hasty_models() == frozenset()
    await parked.settle("A", 7, Parking.HASTY)
    assert not await parked.forget("A")
    assert await parked.hasty_models() == {("Volt", "V2")}


async def test_what_nobody_will_install_is_found_once_its_charger_is_there(engine, campaigns, parked) -> None:
    await parked.park(NOTE, RUNNING)
    await PostgresRouteStore(engine).claim("A", "n1", "b1", "ocpp2.0.1", timedelta(minutes=1))
    assert await parked.left_over() == []
    await campaigns.finish_target("c1", 0, "A", Outcome.CANCELLED, "", NOW)
    assert await parked.left_over() == [NOTE]
    await parked.postpone("A", 6, datetime.now(UTC) + timedelta(hours=1))
    assert await parked.left_over() == [NOTE], "of another order"
    await parked.postpone("A", 7, datetime.now(UTC) + timedelta(hours=1))
    assert await parked.left_over() == [], "it said no a moment ago"
    await parked.postpone("A", 7, LONG_AGO)
    leases = PostgresLeaseStore(engine)
    await leases.take(lease("A", "update"))
    assert await parked.left_over() == [], "somebody is at it"
    await leases.release("A", "charger/A")
    await parked.settle("A", 7, Parking.HASTY)
    assert await parked.left_over() == []


def lease(name: str, kind: str) -> SiteLease:
    return SiteLease(name, "s1", f"charger/{name}", kind, NOW + timedelta(days=3650), download_bytes=10)


@pytest.mark.requirement("X2", "X13")
async def test_who_fetches_is_not_away_until_it_installs(engine, campaigns) -> None:
    leases = PostgresLeaseStore(engine)
    assert (await leases.take(lease("A", "update"))).granted
    assert (await leases.take(lease("B", DOWNLOAD))).granted, "the site has no room, and needs none for it"
    assert await leases.down(["s1"]) == {"s1": 1}
    await leases.release("A", "charger/A")
    assert (await leases.take(lease("A", "update"))).granted, "nobody is in its way"
    await leases.release("A", "charger/A")
    assert (await leases.take(lease("B", "update"))).granted, "it did not wait"
    assert await leases.down(["s1"]) == {"s1": 1}
    assert not (await leases.take(lease("A", "update"))).granted
