"""Plans that break their schema: the rules that can be judged are judged, too, and nothing false is said."""

import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from api.plan_reading import plan_of, problems_of, true_of
from api.schemas.campaigns import PlanBody
from storage.access import Role
from storage.charger import Charger
from storage.ports import ChargerView
from storage.twin import ConnectivitySection, FirmwareSection, Lifecycle, TwinState
from storage.upkeep import Claimant
from tests.support.house import NOW, House, plan_json
from workflows.partial import UnreadField, changed, hide, is_whole, where_read
from workflows.planning import preview

PLAN = "/api/v1/campaigns/plan"
ALL = "/api/v1/campaigns"


def house_of(chargers: int = 8) -> tuple[House, Any]:
    house = House()
    house.add_site()
    for number in range(chargers):
        house.add_charger(f"CP-{number:02}")
    return house, house.add_artifact("1.1.0", counter=2)


@pytest.mark.parametrize("path", [PLAN, f"{PLAN}/chargers", f"{PLAN}/simulate", ALL])
async def test_what_the_schema_and_the_rules_refuse_is_one_answer(path: str) -> None:
    house, artifact = house_of()
    bad = plan_json(
        artifact,
        name="",
        seed=-1,
        pace={"tick_seconds": 0.5, "window": 999, "wave_deadline_seconds": 10},
        gate={"max_failure_share": 1, "health": {"signals": [{"signal": "faults", "threshold": 5}]}},
        waves=[{"name": "a", "share": 2}, {"name": "a", "share": 0.4, "soak": 3}],
        targets={"modl": "x"},
        windows=[{"opens": "25:00", "closes": "03:00"}],
        after="nothing",
        end_at="2020-01-01T00:00:00Z",
    )
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(path, json=bad)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-input")
    assert answer.json()["detail"] == "This plan cannot run. Change the plan and preview it again."
    assert answer.json()["problems"] == [
        "name: must not be empty",
        "targets.modl: there is no such field; did you mean model?",
        "waves.0.share: should be less than or equal to 1",
        "waves.1.soak: there is no such field; did you mean soak_seconds?",
        "gate.health.signals.0.threshold: should be less than or equal to 1",
        "pace.window: should be less than or equal to 200",
        "seed: should be greater than or equal to 0",
        "windows.0.opens: should be a time of day such as 22:00",
        "gate.max_failure_share must be from 0 to below 1",
        "pace.tick_seconds must be at least 1: every tick reads all who wait; the usual is 30",
        "pace.wave_deadline_seconds must be at least one attempt's",
        "every wave needs a name of its own",
        "after names campaign nothing, which is not there: it takes a whole id",
        "end_at is in the past",
    ]
    assert not house.campaigns.all


async def test_the_waves_are_drawn_where_a_fault_elsewhere_cannot_change_them() -> None:
    house, artifact = house_of()
    bad = plan_json(
        artifact, waves=[{"name": "a", "share": 1}, {"name": "b", "count": 90}], rehearse_rollback="x"
    )
    async with house.client(Role.RELEASE_MANAGER) as client:
        problems = (await client.post(PLAN, json=bad)).json()["problems"]

    assert problems == [
        "rehearse_rollback: must be a number",
        "90 chargers are asked for by count, and 8 are free",
    ]


async def test_a_misspelt_field_may_have_been_any_that_was_left_out() -> None:
    """By the hour that an attempt takes unless said, ten minutes would be too short for a wave."""
    house, artifact = house_of()
    async with house.client(Role.RELEASE_MANAGER) as client:

        async def refused(**pace: float) -> list[str]:
            return list((await client.post(PLAN, json=plan_json(artifact, pace=pace))).json()["problems"])

        assert await refused(wave_deadline_seconds=600) == [
            "pace.wave_deadline_seconds must be at least one attempt's"
        ]
        assert await refused(wave_deadline_seconds=600, atempt_deadline_seconds=60) == [
            "pace.atempt_deadline_seconds: there is no such field; did you mean attempt_deadline_seconds?"
        ]


@pytest.mark.parametrize("body", [[1], "plan", {"waves": [1]}, {"waves": 7, "pace": [], "targets": None}, {}])
async def test_what_is_no_plan_is_refused_and_breaks_nothing(body: Any) -> None:
    house, _ = house_of()
    async with house.client(Role.RELEASE_MANAGER) as client:
        assert (await client.post(PLAN, json=body)).status_code == 422
        cut = await client.post(PLAN, content=b"{", headers={"Content-Type": "application/json"})
        assert cut.status_code == 400
    async with house.client(Role.VIEWER) as client:
        assert (await client.post(ALL, json=body)).status_code == 403


async def test_a_list_of_nonsense_is_not_told_line_by_line() -> None:
    house, artifact = house_of(1)
    for bad in ({"targets": {"charger_ids": ["?"] * 3000}}, {f"n{n}": n for n in range(3000)}):
        async with house.client(Role.RELEASE_MANAGER) as client:
            problems = (await client.post(PLAN, json=plan_json(artifact, **bad))).json()["problems"]
        assert problems[100] == "and 2900 more of this kind"
        assert problems[101:] in ([], ["targets matches no charger"])


def test_of_a_hidden_field_nobody_learns_a_value() -> None:
    claimant = hide(Claimant("c", 5, NOW, "x"), {"after"})
    assert (claimant.campaign_id, is_whole(claimant), is_whole((1, claimant))) == ("c", False, False)
    again = changed(claimant, campaign_id="d")
    assert (again.campaign_id, is_whole(again)) == ("d", False)
    for look in (
        lambda: claimant.after,
        lambda: again.after,
        lambda: repr(claimant),
        lambda: replace(claimant),
    ):
        with pytest.raises(UnreadField):
            look()


def _fleet() -> list[ChargerView]:
    def view(number: int) -> ChargerView:
        name, site = f"CP-{number:02}", f"s{number % 3}"
        twin = TwinState(
            name, firmware=FirmwareSection(version="1.0"), connectivity=ConnectivitySection(online=True)
        )
        return ChargerView(Charger(name, site, "Volta", "V22", Lifecycle.ACTIVE), twin)

    return [view(number) for number in range(12)]


FLEET = _fleet()
BODY: dict[str, Any] = {
    "name": "x",
    "targets": {"vendor": "Volta", "charger_ids": ["CP-00", "nobody"]},
    "waves": [
        {"name": "a", "charger_ids": ["CP-01", "X1"]},
        {"name": "b", "query": "modl = 1", "count": 5},
        {"name": "c", "count": 40, "soak_seconds": 1e6},
        {"name": "c", "share": 0.3, "max_failure_share": 1.0},
    ],
    "gate": {"max_failure_share": 1.0, "health": "fast"},
    "pace": {
        "tick_seconds": 0.5,
        "attempt_deadline_seconds": 50_000,
        "wave_deadline_seconds": 600,
        "steady_seconds": 49_000,
        "ramp": {"factor": 2},
    },
    "rollback_artifact_id": "f" * 64,
    "rehearse_rollback": 2,
    "start_at": "2030-01-01T00:00:00Z",
    "end_at": "2026-11-21T00:00:00Z",
    "end_behaviour": "roll_back",
    "windows": [{"opens": "22:00", "closes": "23:00"}],
    "edges": [{"risk": "vendr = x"}],
    "priority": 700,
    "after": "spring",
}
"""Wrong in as many ways as a schema lets through."""
GOOD: dict[str, Any] = {
    "name": "x",
    "targets": {"vendor": "Volta", "model": "V22"},
    "waves": [
        {"name": "a", "charger_ids": ["CP-01"]},
        {"name": "b", "count": 2, "soak_seconds": 60},
        {"name": "c", "share": 0.5},
        {"name": "d", "share": 0.5},
    ],
    "pace": {
        "attempt_deadline_seconds": 60,
        "wave_deadline_seconds": 600,
        "ticket_seconds": 120,
        "steady_seconds": 20,
        "settle_seconds": 1,
    },
    "rollback_artifact_id": "back",
    "rehearse_rollback": 1,
    "end_at": (NOW + timedelta(minutes=20)).isoformat(),
    "end_behaviour": "roll_back",
}
"""Right as it stands, and wrong in many ways if one of its fields were at its default."""
_HOUSE, ARTIFACT = house_of(0)
BACK = _HOUSE.add_artifact("0.9", counter=0)


def _whole(body: dict[str, Any]) -> dict[str, Any]:
    back = {"rollback_artifact_id": BACK.artifact_id} if body is GOOD else {}
    return {**copy.deepcopy(body), "artifact_id": ARTIFACT.artifact_id, **back}


def _paths(body: dict[str, Any]) -> list[tuple[str | int, ...]]:
    parts = [part for part in ("targets", "gate", "pace") if part in body]
    waves = enumerate(body["waves"])
    return [
        *((name,) for name in body),
        *((part, name) for part in parts for name in body[part]),
        *(("waves", n, name) for n, wave in waves for name in wave),
    ]


def _reasons(body: dict[str, Any]) -> set[str]:
    try:
        plan = PlanBody.model_validate(body).to_noun()
    except ValidationError as refused:
        errors = true_of([{**error, "loc": ("body", *error["loc"])} for error in refused.errors()])
        partial = plan_of(body, errors)
        assert partial is not None
        assert problems_of(body, errors)
        plan = partial
    views = None
    with where_read():
        views = FLEET if is_whole(plan.targets) else None
    return set(preview(plan, views, ARTIFACT, BACK, NOW).problems)


@pytest.mark.parametrize("body", [BODY, GOOD], ids=["bad", "good"])
@settings(max_examples=100, deadline=None)
@given(data=st.data(), misspelt=st.booleans(), junk=st.sampled_from([{}, "?", [[]]]))
def test_whatever_cannot_be_read_no_reason_is_given_that_would_not_hold(
    body: dict[str, Any], data: st.DataObject, *, misspelt: bool, junk: Any
) -> None:
    """Each reason against what is left is one against the whole plan, which is legal to the schema."""
    spoilt = _whole(body)
    paths = data.draw(st.sets(st.sampled_from(_paths(body)), min_size=1, max_size=4))
    for path in sorted(paths, key=len, reverse=True):
        holder: Any = spoilt
        for part in path[:-1]:
            holder = holder[part]
        if misspelt:
            holder[f"{path[-1]}_"] = holder.pop(path[-1])
        else:
            holder[path[-1]] = {"?": junk}
    assert _reasons(spoilt) <= _reasons(_whole(body))


def test_the_plans_of_the_property_are_what_they_say() -> None:
    assert not _reasons(_whole(GOOD))
    assert len(_reasons(_whole(BODY))) == 17
