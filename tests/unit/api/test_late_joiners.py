"""Who matches after the cohort was frozen gets a campaign of their own with new approvals, or is left out."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.late_joiners import follow_up, follow_up_all, plan_for_late
from storage.access import Principal, Role
from storage.campaign import CampaignPhase, CampaignPlan, WavePlan
from storage.charger import ChargerFilter
from storage.errors import Conflict
from tests.support.house import House, plan_json

pytestmark = pytest.mark.requirement("R2")


async def completed(house: House, **changes: Any) -> str:
    """A campaign over four chargers that is through."""
    house.add_site()
    for number in range(4):
        house.add_charger(f"CP-{number}")
    artifact = house.add_artifact("1.1.0", counter=2)
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post("/api/v1/campaigns", json=plan_json(artifact, **changes))
    assert answer.status_code == 201, answer.text
    campaign_id = str(answer.json()["campaign_id"])
    end(house, campaign_id)
    return campaign_id


def end(house: House, campaign_id: str, phase: CampaignPhase = CampaignPhase.COMPLETED) -> None:
    house.campaigns.all[campaign_id] = replace(
        house.campaigns.all[campaign_id], phase=phase, finished_at=house.now
    )


def join(house: House, *numbers: int) -> set[str]:
    names = {f"LATE-{number}" for number in numbers}
    for name in names:
        house.add_charger(name)
    return names


async def test_they_get_the_same_plan_and_need_new_approvals() -> None:
    house = House()
    root = await completed(house, late_joiners="follow_up", windows=[{"opens": "22:00", "closes": "05:00"}])
    assert await follow_up_all(house.services) == 0, "nobody yet"
    join(house, 1)
    assert await follow_up_all(house.services) == 0, "too few for two waves"
    names = join(house, 2, 3)
    assert await follow_up_all(house.services) == 1
    late = house.campaigns.all[f"{root}-late-1"]
    assert {row.charger_id for row in house.campaigns.rows[late.campaign_id]} == names | {"LATE-1"}
    first = house.campaigns.all[root]
    assert (late.phase, late.approvals, late.created_by) == (
        CampaignPhase.AWAITING_APPROVAL,
        (),
        first.created_by,
    )
    assert (late.plan.gate, late.plan.pace, late.plan.windows) == (
        first.plan.gate,
        first.plan.pace,
        first.plan.windows,
    )
    assert late.plan_digest != first.plan_digest
    assert await follow_up_all(house.services) == 0, "the one before is not over"


async def test_one_follows_after_another_and_never_with_the_same_chargers() -> None:
    house = House()
    root = await completed(house, late_joiners="follow_up")
    join(house, 1, 2)
    await follow_up_all(house.services)
    end(house, f"{root}-late-1")
    assert await follow_up_all(house.services) == 0
    names = join(house, 3, 4)
    assert await follow_up_all(house.services) == 1
    assert {row.charger_id for row in house.campaigns.rows[f"{root}-late-2"]} == names


async def test_after_one_that_was_stopped_nothing_follows_by_itself() -> None:
    house = House()
    root = await completed(house, late_joiners="follow_up")
    join(house, 1, 2)
    await follow_up_all(house.services)
    end(house, f"{root}-late-1", CampaignPhase.ABORTED)
    join(house, 3, 4)
    assert await follow_up_all(house.services) == 0
    with pytest.raises(Conflict, match="late-1 is aborted"):
        await follow_up(house.services, root, Principal("ada", Role.RELEASE_MANAGER))


async def test_without_the_policy_they_are_left_out_until_somebody_asks() -> None:
    house = House()
    root = await completed(house)
    join(house, 1, 2)
    assert await follow_up_all(house.services) == 0
    async with house.client(Role.OPERATOR) as client:
        assert (await client.post(f"/api/v1/campaigns/{root}/follow-up")).status_code == 403
    async with house.client(Role.RELEASE_MANAGER) as client:
        opened = await client.post(f"/api/v1/campaigns/{root}/follow-up")
    assert opened.status_code == 201, opened.text
    assert opened.json()["campaign_id"] == f"{root}-late-1"
    assert house.audit.actions[-1] == "campaign.created"


async def test_when_nobody_is_left_that_is_said() -> None:
    house = House()
    listed = [f"CP-{number}" for number in range(4)]
    everybody = await completed(house)
    named = await completed(house, targets={"charger_ids": listed}, name="named")
    join(house, 1)
    answers = {}
    async with house.client(Role.RELEASE_MANAGER) as client:
        for campaign_id in (everybody, named):
            answers[campaign_id] = await client.post(f"/api/v1/campaigns/{campaign_id}/follow-up")
    assert answers[named].status_code == 409
    assert answers[named].json()["detail"].startswith("Nobody is left for a follow-up")
    assert "Nobody is left" not in answers[everybody].text, "one charger has joined"


async def test_a_list_follows_up_with_those_of_it_that_could_not_be_in_it() -> None:
    house = House()
    house.add_charger("CP-NEW", model="Another")
    listed = [*(f"CP-{number}" for number in range(4)), "CP-NEW"]
    root = await completed(house, targets={"charger_ids": listed}, waves=[{"name": "all", "share": 1.0}])
    house.add_charger("CP-NEW")
    async with house.client(Role.RELEASE_MANAGER) as client:
        opened = await client.post(f"/api/v1/campaigns/{root}/follow-up")
    assert opened.status_code == 201, opened.text
    assert [row.charger_id for row in house.campaigns.rows[f"{root}-late-1"]] == ["CP-NEW"]


async def test_a_rehearsal_that_no_longer_fits_is_left_out_with_a_warning() -> None:
    house = House()
    back = house.add_artifact("1.0.0")
    waves = [{"name": "few", "count": 1}, {"name": "rest", "share": 1.0}]
    root = await completed(
        house, waves=waves, rehearse_rollback=1, rollback_artifact_id=back.artifact_id, required_approvals=2
    )
    join(house, 1)
    async with house.client(Role.RELEASE_MANAGER) as client:
        opened = await client.post(f"/api/v1/campaigns/{root}/follow-up")
    assert opened.status_code == 201, opened.text
    assert opened.json()["plan"]["rehearse_rollback"] is None
    assert opened.json()["warnings"][0].startswith("rehearse_rollback is left out")


async def test_long_after_its_end_nothing_follows() -> None:
    house = House()
    await completed(house, late_joiners="follow_up")
    join(house, 1, 2)
    house.now += timedelta(days=91)
    assert await follow_up_all(house.services) == 0


async def test_two_who_open_it_at_once_open_one() -> None:
    house = House()
    root = await completed(house)
    join(house, 1, 2)
    ada = Principal("ada", Role.RELEASE_MANAGER)
    ends = await asyncio.gather(
        *(follow_up(house.services, root, ada) for _ in range(2)), return_exceptions=True
    )
    assert sum(isinstance(one, Conflict) for one in ends) == 1
    assert [name for name in house.campaigns.all if "-late-" in name] == [f"{root}-late-1"]


def test_what_was_about_the_first_cohort_stays_behind() -> None:
    waves = (
        WavePlan("bench", charger_ids=("X",)),
        WavePlan("few", count=3),
        WavePlan("half", 0.5, soak_seconds=60.0),
        WavePlan("rest", 0.5),
    )
    plan = CampaignPlan("p" * 100, "a" * 64, ChargerFilter(), waves)
    late, warnings = plan_for_late(plan)
    assert warnings == ()
    assert late.waves == waves[2:]
    assert len(late.name) <= 100
    assert [wave.share for wave in plan_for_late(replace(plan, waves=waves[:2]))[0].waves] == [1.0]
