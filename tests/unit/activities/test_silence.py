"""What is measured around a charger that is away, or takes long (X7, R23)."""

from datetime import timedelta

import pytest

from activities.chargers import ChargerActivities, ReconcileInput
from activities.facts import AttemptFacts
from activities.silence import stuck_in
from storage.campaign import TargetPhase
from storage.charger import SiteLease
from storage.events import FirmwareStatus
from storage.learned import Mark, Step, Trail, learn
from storage.twin import ConnectivitySection
from tests.unit.activities.world import START, World

CP = "CP000"


@pytest.fixture
async def world() -> World:
    world = World()
    world.add_chargers(5, sites=1, max_down=9)
    await world.add_campaign([[CP]])
    return world


def lose(world: World, name: str, minutes: float, address: str = "10.0.0.7") -> None:
    """Its socket was lost so many minutes after the start."""
    world.unplug(name)
    gone = ConnectivitySection(online=False, since=START + timedelta(minutes=minutes), remote_address=address)
    world._twin(name, connectivity=gone)


async def reconcile(world: World) -> AttemptFacts:
    world.now = START + timedelta(minutes=30)
    return await ChargerActivities(world.stores).reconcile_update(ReconcileInput("c1", 0, CP, START))


@pytest.mark.requirement("X7")
async def test_neighbours_that_went_away_with_it_are_told_from_those_that_did_not(world: World) -> None:
    lose(world, CP, 10)
    lose(world, "CP001", 11)
    lose(world, "CP002", -600)
    world.leases.rows["CP003"] = SiteLease("CP003", "site-0", "charger/CP003", "update", START)

    seen = (await reconcile(world)).silence

    assert seen is not None
    assert seen.gone_at == START + timedelta(minutes=10)
    # Of the same address: 1 and 2; the third is under maintenance, and 4 comes from elsewhere.
    assert (seen.neighbours, seen.away, seen.together, seen.same_router) == (2, 2, 1, True)


@pytest.mark.requirement("X7")
async def test_where_no_address_is_known_the_site_speaks(world: World) -> None:
    lose(world, CP, 10, address="unknown")
    lose(world, "CP001", 10, address="unknown")

    seen = (await reconcile(world)).silence

    assert seen is not None
    assert (seen.neighbours, seen.away, seen.together, seen.same_router) == (4, 1, 1, False)


async def test_nothing_is_asked_about_one_that_is_here(world: World) -> None:
    assert (await reconcile(world)).silence is None


def trail(name: str, *steps: tuple[Step, float], version: str = "1.1") -> Trail:
    marks = tuple(
        Mark(START + timedelta(seconds=after), step, version=version if step is Step.BOOTED else None)
        for step, after in steps
    )
    return Trail(name, START, "1.0", marks)


GOOD = (
    (Step.DOWNLOADING, 5.0),
    (Step.DOWNLOADED, 65.0),
    (Step.INSTALLING, 70.0),
    (Step.GONE, 100.0),
    (Step.BOOTED, 160.0),
)


@pytest.mark.requirement("R23")
async def test_a_download_longer_than_any_of_its_model_is_noticed_at_the_next_look(world: World) -> None:
    world.learned.known = [trail(f"X{number}", *GOOD) for number in range(5)]
    await world.campaigns.move_target(
        "c1", 0, CP, TargetPhase.DISPATCHED, "", at=START, attempt=1, request_id=7
    )
    world.now = START + timedelta(seconds=5)
    await world.report(CP, FirmwareStatus.DOWNLOADING, 7)
    facts = await reconcile(world)
    assert facts.stuck == "Downloading has lasted 1795 s; the longest of 5 of its model was 60 s"

    await world.report(CP, FirmwareStatus.DOWNLOADED, 7)
    assert (await reconcile(world)).stuck == ""


@pytest.mark.requirement("R23")
@pytest.mark.parametrize(
    ("steps", "samples", "seconds", "noticed"),
    [
        (((Step.DOWNLOADING, 5.0),), 5, 80.0, False),
        (((Step.DOWNLOADING, 5.0),), 5, 100.0, True),
        (((Step.DOWNLOADING, 5.0),), 4, 5000.0, False),
        ((), 5, 30.0, False),
        ((), 5, 100.0, True),
        (((Step.DOWNLOADING, 5.0), (Step.DOWNLOADED, 9.0)), 5, 5000.0, False),
        (((Step.DOWNLOADING, 5.0), (Step.INSTALLING, 9.0)), 5, 5000.0, False),
    ],
)
def test_only_a_fetch_is_cut_short_and_only_on_enough_evidence(
    steps: tuple[tuple[Step, float], ...], samples: int, seconds: float, noticed: bool
) -> None:
    profile = learn("V", "M", [trail(f"X{number}", *GOOD) for number in range(samples)])
    found = stuck_in(profile, trail(CP, *steps), START + timedelta(seconds=seconds))
    assert bool(found) is noticed
