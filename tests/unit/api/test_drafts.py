"""A campaign that was stored and never started is started, whoever died in between."""

import asyncio
from datetime import timedelta

import pytest

from api.drafts import keep_starting_drafts, start_old_drafts
from storage.access import Role
from storage.campaign import CampaignPhase
from storage.errors import EngineUnavailable
from tests.support.house import House, plan_json

ALL = "/api/v1/campaigns"


async def lost_draft(house: House) -> str:
    """What a crash between storing and starting leaves behind."""
    house.add_site()
    for number in range(8):
        house.add_charger(f"CP-{number:02}")
    artifact = house.add_artifact("1.1.0", counter=2)
    house.orchestrator.failure = EngineUnavailable("Temporal does not answer.")
    async with house.client(Role.RELEASE_MANAGER) as client:
        await client.post(ALL, json=plan_json(artifact))
    house.orchestrator.failure = None
    [campaign_id] = house.campaigns.all
    return campaign_id


async def test_an_old_draft_is_started_once_and_a_young_one_left_to_its_request() -> None:
    house = House()
    campaign_id = await lost_draft(house)

    assert await start_old_drafts(house.services) == 0
    house.now += timedelta(minutes=2)
    assert [await start_old_drafts(house.services) for _ in range(2)] == [1, 0]
    assert house.campaigns.all[campaign_id].phase is CampaignPhase.AWAITING_APPROVAL


@pytest.mark.parametrize("failure", [EngineUnavailable("Temporal does not answer."), RuntimeError("broken")])
async def test_a_round_that_fails_is_followed_by_another(failure: Exception) -> None:
    house = House()
    campaign_id = await lost_draft(house)
    house.now += timedelta(minutes=2)
    failures, really = [failure, failure], house.orchestrator.start_campaign

    async def start(campaign_id: str) -> None:
        if failures:
            raise failures.pop()
        await really(campaign_id)

    house.orchestrator.start_campaign = start  # type: ignore[method-assign]
    rounds = asyncio.create_task(keep_starting_drafts(house.services, every_s=0.001))
    try:
        await _until_started(house, campaign_id)
    finally:
        rounds.cancel()


async def test_the_app_looks_for_drafts_when_it_starts() -> None:
    house = House()
    campaign_id = await lost_draft(house)
    house.now += timedelta(minutes=2)
    app = house.app
    async with app.router.lifespan_context(app):
        await _until_started(house, campaign_id)


async def _until_started(house: House, campaign_id: str) -> None:
    async with asyncio.timeout(10):
        while house.campaigns.all[campaign_id].phase is CampaignPhase.DRAFT:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.001)
