"""What local controllers offer, in PostgreSQL (OCPP 2.0.1 L03)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from storage.campaign import Campaign, CampaignPhase, CampaignPlan, Outcome, Target, WavePlan
from storage.canonical import digest
from storage.charger import ChargerFilter
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.publications import PostgresPublicationStore
from storage.publication import LocalImage, Publication
from tests.integration.storage.conftest import NOW

pytestmark = [pytest.mark.integration, pytest.mark.requirement("S29")]
IMAGE = LocalImage("c1", 0, "s1", "LC-1", "a" * 64, "b" * 32, 7, NOW, NOW + timedelta(hours=1))
PLACES = ("http://192.0.2.1/a", "ftp://192.0.2.1/a")


@pytest.fixture
def images(engine) -> PostgresPublicationStore:
    return PostgresPublicationStore(engine)


async def test_the_first_that_opens_it_counts(images) -> None:
    assert await images.open(IMAGE) == IMAGE
    assert await images.open(replace(IMAGE, request_id=8)) == IMAGE
    assert await images.get("c1", 1, "s1") is None
    await images.settle(IMAGE, Publication.PUBLISHED, "it is there", PLACES)
    [found] = await images.of_wave("c1", 0, ["s1", "s2"])
    told = {"state": Publication.PUBLISHED, "reason": "it is there", "locations": PLACES}
    assert found == replace(IMAGE, **told)


async def test_it_is_needed_while_another_wave_has_it_there(images) -> None:
    later = replace(IMAGE, wave=1)
    await images.open(IMAGE)
    assert not await images.offered_elsewhere(IMAGE)
    await images.open(later)
    await images.open(replace(IMAGE, site_id="s2", controller_id="LC-2"))
    assert await images.offered_elsewhere(IMAGE)
    await images.settle(later, Publication.ENDED, "", ())
    assert not await images.offered_elsewhere(IMAGE)


async def test_those_who_are_not_done_are_counted_by_site_and_wave(engine, images) -> None:
    store = PostgresCampaignStore(engine)
    plan = CampaignPlan("c", IMAGE.artifact_id, ChargerFilter(), (WavePlan("all", 1.0),))
    campaign = Campaign("c1", plan, digest(plan), CampaignPhase.DRAFT, "ann", NOW, cohort_size=3)
    places = (("A", "s1", 0), ("B", "s1", 0), ("C", "s2", 0))
    targets = [
        Target("c1", wave, number, name, site, IMAGE.artifact_id, "1.0", "1.1")
        for number, (name, site, wave) in enumerate(places)
    ]
    await store.create(campaign, targets, [])
    assert await images.open_targets("c1", 0, "s1") == 2
    await store.finish_target("c1", 0, "A", Outcome.UPDATED, "it is", NOW)
    assert await images.open_targets("c1", 0, "s1") == 1
    assert await images.open_targets("c1", 1, "s1") == 0
