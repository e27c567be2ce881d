"""Campaigns and queries: what a plan targets, and a slice that leaves a running campaign."""

from dataclasses import replace
from typing import Any

import pytest

from storage.access import Role
from storage.artifact import Artifact
from storage.campaign import TargetPhase
from tests.support.house import NOW, House, plan_json

PLAN = "/api/v1/campaigns/plan"
ALL = "/api/v1/campaigns"
THREE = ("CP-01", "CP-03", "CP-05")


def ready() -> tuple[House, Artifact]:
    house = House()
    house.add_site()
    for number in range(8):
        house.add_charger(f"CP-{number:02}")
    return house, house.add_artifact("1.1.0", counter=2)


async def created(house: House, artifact: Artifact, **changes: Any) -> str:
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(ALL, json=plan_json(artifact, **changes))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["campaign_id"])


async def test_a_plan_targets_a_query_which_is_frozen_and_approved_with_it() -> None:
    house, artifact = ready()
    asked = {"query": "id in (CP-01, CP-03, CP-05)"}
    async with house.client(Role.RELEASE_MANAGER) as client:
        named = (await client.post(PLAN, json=plan_json(artifact, targets={"charger_ids": [*THREE]}))).json()
        preview = (await client.post(PLAN, json=plan_json(artifact, targets=asked))).json()
    campaign = await created(house, artifact, targets=asked)
    async with house.client(Role.VIEWER) as client:
        body = (await client.get(f"{ALL}/{campaign}")).json()

    assert sorted(name for wave in preview["waves"] for name in wave["chargers"]) == [*THREE]
    assert body["plan"]["targets"]["query"] == asked["query"]
    assert body["plan_digest"] == preview["plan_digest"] != named["plan_digest"]


async def test_a_plan_whose_query_is_wrong_is_refused_at_its_token_and_recorded() -> None:
    house, artifact = ready()
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(
            ALL, json=plan_json(artifact, targets={"query": "vendor = Volta und online"})
        )
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/query-invalid")
    assert (problem["position"]["column"], problem["position"]["length"]) == (16, 3)
    assert [row.entry.action for row in house.audit.chain][-1] == "campaign.refused"


async def test_a_wrong_query_beside_other_faults_is_told_with_them() -> None:
    house, artifact = ready()
    bad = plan_json(artifact, targets={"query": "modl = x"}, after="nothing", edges=[{"risk": "vendr = x"}])
    async with house.client(Role.RELEASE_MANAGER) as client:
        problem = (await client.post(PLAN, json=bad)).json()

    assert problem["type"] == "/problems/invalid-input"
    assert problem["problems"] == [
        "edges, the 1. one: risk: Line 1, column 1: a charger has no field 'vendr'. Did you mean vendor?",
        "targets.query: Line 1, column 1: a charger has no field 'modl'. Did you mean model?",
        "after names campaign nothing, which is not there: it takes a whole id",
    ]


def skips(house: House) -> list[str]:
    return sorted(asked[2] for asked in house.orchestrator.asked if asked[0] == "skip")


@pytest.mark.requirement("F27")
async def test_a_slice_of_the_fleet_leaves_a_running_campaign_once() -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    rows = house.campaigns.rows[campaign_id]
    sent = next(place for place, row in enumerate(rows) if row.charger_id == "CP-02")
    rows[sent] = replace(rows[sent], phase=TargetPhase.DISPATCHED, dispatched_at=NOW)
    house.add_charger("NEW")
    body = {"query": "id in (CP-01, CP-02, CP-05, NEW)", "reason": "Revision B2 loses its network."}
    path, key = f"{ALL}/{campaign_id}/skip-matching", {"Idempotency-Key": "slice-1"}
    async with house.client(Role.RELEASE_MANAGER) as client:
        first = await client.post(path, json=body, headers=key)
        again = await client.post(path, json=body, headers=key)

    assert (first.status_code, first.json()) == (200, {"skipped": ["CP-01", "CP-05"], "refused": []})
    assert again.status_code == 200
    assert skips(house) == ["CP-01", "CP-05"]


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [("hardwar = B2", 422, "Did you mean hardware?"), ("hardware = B2", 200, '"skipped":[]')],
)
async def test_a_slice_that_is_nobody_changes_nothing(query: str, status: int, says: str) -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    path, body = f"{ALL}/{campaign_id}/skip-matching", {"query": query, "reason": "Why not."}
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(path, json=body)
        nowhere = await client.post(f"{ALL}/no-such/skip-matching", json=body)
    async with house.client(Role.VIEWER) as client:
        forbidden = await client.post(path, json=body)

    assert answer.status_code == status
    assert says in answer.text
    assert (nowhere.status_code, forbidden.status_code) == (404, 403)
    assert not skips(house)


async def test_a_slice_too_large_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.slices.MOST", 3)
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    body = {"query": "vendor like *", "reason": "Too much."}
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(f"{ALL}/{campaign_id}/skip-matching", json=body)
    assert answer.status_code == 422
    assert "More than 3 chargers" in answer.json()["detail"]
    assert not skips(house)
