"""Forecasts at the door: from recorded weeks, kept for the campaign that comes of a plan, and compared."""

from datetime import timedelta
from typing import Any

import pytest

from api.schemas.forecasts import ForecastReply
from storage.access import Role
from storage.artifact import Artifact
from storage.health import HealthHour
from storage.health_time import HealthTime
from storage.recording import WEEK_HOURS, Recorded
from tests.support.house import NOW, House, plan_json
from workflows.gate import POLICIES

SIMULATE = "/api/v1/campaigns/plan/simulate"
RECORDING = "/api/v1/fleet/recording"


def recorded(chargers: int = 24, weeks: int = 2, **options: Any) -> tuple[House, Artifact]:
    """A house whose chargers were heard in every hour, one of them never."""
    house = House(**options)
    house.add_site()
    memory = house.watch.recordings
    memory.since = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(weeks=weeks)  # type: ignore[attr-defined]
    for number in range(chargers):
        name = f"CP-{number:02}"
        house.add_charger(name)
        heard = range(weeks * WEEK_HOURS) if number else ()
        memory.rows[name] = Recorded(name, (10,), (90,), (7000,), tuple(heard))  # type: ignore[attr-defined]
        hour = HealthHour(heard=1, messages=4, attempts_ok=1, stops=1)
        memory.counted[name] = dict.fromkeys(heard, hour)  # type: ignore[attr-defined]
    return house, house.add_artifact("1.1.0", counter=2)


@pytest.mark.requirement("X10", "R56")
async def test_a_plan_is_forecast_and_its_campaign_compared_with_it() -> None:
    house, artifact = recorded(chargers=8)
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(SIMULATE, json=plan_json(artifact), params={"runs": 5})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        created = (await client.post("/api/v1/campaigns", json=plan_json(artifact))).json()
        beside = await client.get(f"/api/v1/campaigns/{created['campaign_id']}/forecast")

    assert (found["cohort"], found["unrecorded"], found["weeks"]) == (8, 1, 2)
    assert found["plan_digest"] == created["plan_digest"]
    assert found["reasons"] == [{"why": "it is offline", "chargers": 1.0}]
    assert found["most_blocked"][0]["charger_id"] == "CP-00"
    assert beside.status_code == 200, beside.text
    assert beside.json()["forecast"] == found
    lines = {line["what"]: line for line in beside.json()["lines"]}
    assert lines["updated"]["fact"] == 0
    assert lines["minutes"]["within"] is None
    ForecastReply.model_validate(found)


async def test_a_campaign_that_nobody_forecast_says_how_to() -> None:
    house, artifact = recorded(chargers=8)
    async with house.client(Role.RELEASE_MANAGER) as client:
        created = (await client.post("/api/v1/campaigns", json=plan_json(artifact))).json()
        answer = await client.get(f"/api/v1/campaigns/{created['campaign_id']}/forecast")
    assert answer.status_code == 404
    assert "--simulate" in answer.text


async def test_without_a_recorded_week_nothing_is_forecast() -> None:
    house, artifact = recorded(chargers=8)
    house.watch.recordings.since = NOW - timedelta(days=2)  # type: ignore[attr-defined]
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(SIMULATE, json=plan_json(artifact))
        house.watch.recordings.since = None  # type: ignore[attr-defined]
        none = await client.post(SIMULATE, json=plan_json(artifact))
    assert answer.status_code == none.status_code == 422
    assert "only 2.0 days" in answer.text
    assert "nothing is recorded" in none.text


async def test_hours_of_a_rehearsal_are_told_to_who_approves_and_are_nothing_to_forecast_from() -> None:
    house, artifact = recorded(chargers=8)
    house.watch.health.time = HealthTime(2)  # type: ignore[misc]
    body = {**plan_json(artifact), "gate": {"health": "fast"}}
    async with house.client(Role.RELEASE_MANAGER) as client:
        preview = await client.post("/api/v1/campaigns/plan", json=body)
        plain = await client.post("/api/v1/campaigns/plan", json=plan_json(artifact))
        answer = await client.post(SIMULATE, json=body)
    assert "4 hours of the policy are 8 s" in preview.text
    assert "AMPWAVE_HEALTH_HOUR_S" not in plain.text
    assert answer.status_code == 422
    assert "an hour of health lasts 2 s" in answer.text


@pytest.mark.parametrize(("days", "weeks"), [(6.8, 1), (11.0, 1), (13.5, 1), (13.8, 2), (27.9, 4), (40.0, 4)])
async def test_a_part_of_a_week_is_not_replayed_as_if_everybody_had_been_offline(
    days: float, weeks: int
) -> None:
    house, _ = recorded(chargers=8)
    until = NOW.replace(minute=0, second=0, microsecond=0)
    house.watch.recordings.since = until - timedelta(days=days)  # type: ignore[attr-defined]
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.get(RECORDING, params={"chargers": 20})
    assert answer.json()["weeks"] == weeks


@pytest.mark.parametrize(
    "params",
    [
        {"runs": 0},
        {"runs": 1001},
        {"attempt_minutes": "nan"},
        {"failure_share": 1},
        {"seed": -1},
        {"runs": "x"},
    ],
)
async def test_hostile_parameters_are_refused(params: dict[str, Any]) -> None:
    house, artifact = recorded(chargers=4)
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(SIMULATE, json=plan_json(artifact), params=params)
    assert answer.status_code == 422


async def test_a_plan_that_cannot_run_is_not_forecast() -> None:
    house, artifact = recorded(chargers=4)
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(SIMULATE, json=plan_json(artifact, waves=[{"name": "a", "share": 0.5}]))
    assert answer.status_code == 422
    assert "add up to 1" in answer.text


@pytest.mark.requirement("R56")
async def test_a_fleet_on_record_names_no_charger() -> None:
    house, _ = recorded()
    async with house.client(Role.VIEWER) as client:
        found = (await client.get(RECORDING, params={"chargers": 20})).json()
    assert (found["weeks"], found["of"], len(found["chargers"])) == (2, 24, 20)
    assert "CP-" not in str(found)
    assert {name for each in found["chargers"] for name in each["tracks"]} >= {
        limit.signal for limit in POLICIES["balanced"].signals
    }
