"""What people say of chargers, times and images, at the door."""

from dataclasses import replace
from typing import Any

import pytest

from storage.access import Role
from storage.upkeep import Link
from tests.support.house import House, plan_json

CHARGER = "/api/v1/chargers/CP-0/upkeep"
CLOSURES = "/api/v1/closures"
EVENT = {
    "begins": "2026-11-20T17:00:00+01:00",
    "ends": "2026-11-20T19:00:00+01:00",
    "kind": "grid",
    "reason": "demand response",
    "site_id": "harbour",
}


def house() -> House:
    made = House()
    made.add_site()
    made.add_charger("CP-0")
    return made


async def say(made: House, role: Role = Role.OPERATOR, **body: Any) -> Any:
    async with made.client(role) as client:
        return await client.post(CHARGER, json=body)


async def test_what_is_left_out_stays_and_null_takes_away() -> None:
    made = house()
    await say(made, hold="cabinet open", hold_until="2026-12-01T00:00:00Z", link="cellular")
    answer = await say(made, pin="1.0")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["hold"], body["held"], body["pin"], body["link"]) == (
        "cabinet open",
        True,
        "1.0",
        "cellular",
    )
    body = (await say(made, hold=None)).json()
    assert (body["hold"], body["hold_until"], body["pin"]) == (None, None, "1.0")
    body = (await say(made, pin=None, connector_types=None)).json()
    assert (body["pin"], body["connector_types"], body["changed_by"]) == (None, [], "operator@ampwave.test")
    assert made.audit.actions == ["charger.upkeep"] * 4
    assert made.upkeep.said["CP-0"].link is Link.CELLULAR


async def test_a_new_hold_does_not_end_when_the_one_before_it_would_have() -> None:
    made = house()
    await say(made, hold="short", hold_until="2026-11-20T13:00:00Z")
    assert (await say(made, hold="for good")).json()["hold_until"] is None


@pytest.mark.parametrize("role", [Role.VIEWER])
async def test_who_may_not(role: Role) -> None:
    made = house()
    assert (await say(made, role, hold="x")).status_code == 403
    async with made.client(role) as client:
        assert (await client.post(CLOSURES, json={"closures": [EVENT]})).status_code == 403
    async with made.client(Role.RELEASE_MANAGER) as client:
        put = await client.put(
            f"/api/v1/artifacts/{'a' * 64}/metering", json={"countries": [], "reason": "x"}
        )
        assert put.status_code == 403, "metering is security's"


async def test_an_unknown_charger_is_told() -> None:
    async with House().client(Role.OPERATOR) as client:
        assert (await client.post(CHARGER, json={"pin": "1"})).status_code == 404
        assert (await client.get(CHARGER)).status_code == 404


@pytest.mark.requirement("X4")
async def test_closed_times_come_and_go() -> None:
    made = house()
    async with made.client(Role.OPERATOR) as client:
        stored = await client.post(CLOSURES, json={"closures": [EVENT]})
        assert stored.status_code == 201, stored.text
        [one] = (await client.get(CLOSURES)).json()["items"]
        assert one["begins"] == "2026-11-20T16:00:00Z"
        gone = await client.delete(f"{CLOSURES}/{one['closure_id']}")
        assert gone.status_code == 204
        assert (await client.delete(f"{CLOSURES}/{one['closure_id']}")).status_code == 404
    assert made.audit.actions == ["calendar.closed", "calendar.opened"]


@pytest.mark.parametrize(
    "changes",
    [
        {"ends": EVENT["begins"]},
        {"price": 0.3},
        {"begins": "17:00"},
        {"begins": "2026-11-20T17:00:00"},
        {"kind": "weather"},
        {"begins": "0.5"},
    ],
)
async def test_times_that_are_none_are_refused(changes: dict[str, Any]) -> None:
    async with house().client(Role.OPERATOR) as client:
        answer = await client.post(CLOSURES, json={"closures": [{**EVENT, **changes}]})
    assert answer.status_code == 422
    assert "at least 1 item" not in answer.text, "there is one, and what is wrong with it is said"


async def test_what_is_wholly_past_closes_nothing() -> None:
    past = EVENT | {"begins": "2026-11-19T17:00:00Z", "ends": "2026-11-19T19:00:00Z"}
    async with house().client(Role.OPERATOR) as client:
        refused = await client.post(CLOSURES, json={"closures": [past]})
        whole = await client.post(CLOSURES, json={"closures": [past, EVENT]})
    assert refused.status_code == 422
    assert "all of it is past" in refused.json()["detail"]
    assert whole.status_code == 201, "a calendar that began before is brought again"


@pytest.mark.requirement("X14")
async def test_metering_is_permitted_per_country_and_leaves_the_others_out() -> None:
    made = house()
    artifact = made.add_artifact("1.1.0", counter=2)
    url = f"/api/v1/artifacts/{artifact.artifact_id}/metering"
    async with made.client(Role.SECURITY) as client:
        assert (await client.get(url)).status_code == 404
        put = await client.put(url, json={"countries": ["FR", "DE", "DE"], "reason": "PTB"})
        assert put.json()["countries"] == ["DE", "FR"]
        assert (await client.put(url, json={"countries": ["Germany"], "reason": "x"})).status_code == 422
    async with made.client(Role.RELEASE_MANAGER) as client:
        refused = await client.post("/api/v1/campaigns/plan", json=plan_json(artifact))
    assert any("not permitted in a country that nobody told" in line for line in refused.json()["problems"])


@pytest.mark.requirement("R3", "R5", "R15", "R34")
async def test_a_preview_charger_by_charger_and_page_by_page() -> None:
    made = house()
    for number in range(1, 12):
        made.add_charger(f"CP-{number}")
    third = made.chargers.all["CP-3"]
    made.chargers.all["CP-3"] = replace(third, charger=replace(third.charger, hardware_revision="B2"))
    artifact = made.add_artifact("1.1.0", counter=2)
    await say(made, hold="cabinet open")
    plan = plan_json(
        artifact,
        waves=[
            {"name": "bench", "charger_ids": ["CP-1"]},
            {"name": "named", "query": "id like CP-1?"},
            {"name": "rest", "share": 1},
        ],
        edges=[{"risk": "hardware = B2", "reason": "it loses its network"}],
        windows=[{"opens": "22:00", "closes": "05:00"}],
    )
    rows: list[Any] = []
    async with made.client(Role.RELEASE_MANAGER) as client:
        cursor, digests = None, set()
        while True:
            params = {"limit": 5, **({"cursor": cursor} if cursor else {})}
            answer = await client.post("/api/v1/campaigns/plan/chargers", json=plan, params=params)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            rows += page["items"]
            digests.add(page["plan_digest"])
            if (cursor := page["next_cursor"]) is None:
                break
            later = cursor
        made.add_charger("CP-99")
        changed = await client.post("/api/v1/campaigns/plan/chargers", json=plan, params={"cursor": later})
        nonsense = await client.post("/api/v1/campaigns/plan/chargers", json=plan, params={"cursor": "x"})
    assert (changed.status_code, nonsense.status_code) == (409, 422)
    assert len(digests) == 1
    assert [row["charger_id"] for row in rows] == sorted(made.chargers.all.keys() - {"CP-99"})
    told = {row["charger_id"]: row for row in rows}
    assert (told["CP-1"]["wave_name"], told["CP-10"]["wave_name"]) == ("bench", "named")
    assert told["CP-1"]["earliest"] == "2026-11-20T21:00:00Z"
    assert (told["CP-3"]["wave"], told["CP-3"]["reason"]) == (
        None,
        "it is at risk on the way from 1.0.0: it loses its network",
    )
    assert (told["CP-0"]["earliest"], told["CP-0"]["reason"]) == (None, "it is on hold: cabinet open")


@pytest.mark.requirement("R3")
async def test_queries_that_cannot_be_asked_are_told_with_everything_else() -> None:
    made = house()
    artifact = made.add_artifact("1.1.0", counter=2)
    waves = [{"name": "a", "query": "hardwar = 1"}, {"name": "b", "share": 0.5}]
    async with made.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(
            "/api/v1/campaigns/plan", json=plan_json(artifact, waves=waves, edges=[{"risk": "nonsense = 2"}])
        )
    problems = answer.json()["problems"]
    assert answer.status_code == 422
    assert any("hardwar" in problem for problem in problems)
    assert any("nonsense" in problem for problem in problems)
    assert any("add up to 1, not 0.5" in problem for problem in problems)


async def test_an_image_that_was_withdrawn_cannot_be_planned() -> None:
    from storage.withdrawal import Source, Withdrawal, artifact_subject

    made = house()
    artifact = made.add_artifact("1.1.0", counter=2)
    gone = Withdrawal(artifact_subject(artifact.artifact_id), "bricks", Source.PERSON, "ida", made.now)
    await made.withdrawals.add([gone])
    async with made.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post("/api/v1/campaigns/plan", json=plan_json(artifact))
    assert any("withdrawn by ida: bricks" in problem for problem in answer.json()["problems"])


async def test_a_site_keeps_its_rules() -> None:
    made = house()
    body = {
        "site_id": "mall",
        "name": "Mall",
        "time_zone": "Europe/Paris",
        "rules": {"keep_power_share": 0.5},
    }
    async with made.client(Role.ADMIN) as client:
        assert (await client.post("/api/v1/sites", json=body)).status_code == 201
        sites = {one["site_id"]: one for one in (await client.get("/api/v1/sites")).json()["items"]}
        bad = await client.post("/api/v1/sites", json={**body, "rules": {"keep_power_share": 1.5}})
        half = await client.post("/api/v1/sites", json={**body, "rules": {"feeder": "north"}})
    assert sites["mall"]["rules"]["keep_power_share"] == 0.5
    assert bad.status_code == 422
    assert (half.status_code, "feeder_kw go together" in half.text) == (422, True)
