"""The doors to what is desired of a charger: who may, against which version, how much."""

import asyncio
from typing import Any

import pytest

from storage.access import Role
from storage.anomaly import Anomaly
from storage.drift import Drift, DriftState
from storage.past import Origin, Rebuilt
from storage.twin_schema import Severity
from tests.support.house import NOW, House

URL = "/api/v1/chargers/CP-1/desired"
BODY = {"values": {"HeartbeatInterval": "300"}}
FIRST = {"If-Match": '"0"'}


@pytest.fixture
def house() -> House:
    house = House()
    house.add_site()
    house.add_charger("CP-1")
    return house


@pytest.mark.requirement("F4", "F13")
async def test_a_write_raises_the_version_that_the_next_write_must_name(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        read = await client.get(f"{URL}/configuration")
        first = await client.patch(
            f"{URL}/configuration", json=BODY, headers={"If-Match": read.headers["etag"]}
        )
        stale = await client.put(f"{URL}/configuration", json=BODY, headers=FIRST)
        whole = (await client.get(URL)).json()

    assert (read.json()["version"], read.headers["etag"]) == (0, '"0"')
    assert (first.status_code, first.json()["version"], first.headers["etag"]) == (200, 1, '"1"')
    assert first.json()["desired"] == BODY
    assert stale.status_code == 412
    assert stale.json()["type"] == "/problems/stale-version"
    assert [each["section"] for each in whole["sections"]] == [
        "configuration",
        "firmware",
        "security",
        "power",
        "network",
        "terms",
    ]
    assert house.audit.actions == ["charger.desired_set"]


@pytest.mark.requirement("F18")
async def test_a_write_without_its_version_is_refused(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        answers = [
            await client.put(f"{URL}/configuration", json=BODY, headers=headers)
            for headers in ({}, {"If-Match": "*"}, {"If-Match": "7"})
        ]
    assert [answer.status_code for answer in answers] == [428, 422, 422]
    assert answers[0].json()["type"] == "/problems/precondition-required"
    assert house.twins.sections == {}


@pytest.mark.parametrize(
    ("role", "section", "status"),
    [
        (Role.VIEWER, "configuration", 403),
        (Role.RELEASE_MANAGER, "configuration", 403),
        (Role.OPERATOR, "configuration", 403),
        (Role.SECURITY, "configuration", 403),
        (Role.ADMIN, "configuration", 200),
        (Role.OPERATOR, "security", 403),
        (Role.OPERATOR, "firmware", 403),
        (Role.SECURITY, "security", 200),
    ],
)
@pytest.mark.requirement("F18")
async def test_what_trust_is_judged_by_is_for_fewer_people(
    house: House, role: Role, section: str, status: int
) -> None:
    bodies: dict[str, Any] = {"configuration": BODY, "security": {"profile": 2}, "firmware": {"version": "1"}}
    async with house.client(role) as client:
        answer = await client.patch(f"{URL}/{section}", json=bodies[section], headers=FIRST)
    assert answer.status_code == status


def drift(path: str, state: DriftState, severity: Severity = Severity.CRITICAL) -> Drift:
    words = "it runs 6.6, which nobody rolled out to it"
    return Drift("CP-1", path, severity, "1.0", "6.6", 3, state, NOW, NOW, suspicion=words)


@pytest.mark.requirement("F14", "F15", "F34")
async def test_drift_and_anomalies_are_on_every_surface(house: House) -> None:
    house.twins.all_drifts = [
        drift("firmware.version", DriftState.OPEN),
        drift("configuration.values.A", DriftState.OPEN, Severity.WARNING),
        drift("security.profile", DriftState.CLOSED),
    ]
    house.twins.all_anomalies = [
        Anomaly("CP-1", "too_large", "configuration", "too long", "event/7", NOW, NOW, 3)
    ]
    async with house.client(Role.VIEWER) as client:
        mine = (await client.get("/api/v1/chargers/CP-1/drift")).json()["items"]
        everything = (await client.get("/api/v1/chargers/CP-1/drift?all=true")).json()["items"]
        critical = (await client.get("/api/v1/drift?severity=critical")).json()["items"]
        odd = (await client.get("/api/v1/chargers/CP-1/anomalies")).json()["items"]
        unknown = await client.get("/api/v1/chargers/CP-2/drift")
    assert [each["path"] for each in mine] == ["firmware.version", "configuration.values.A"]
    assert len(everything) == 3
    assert [each["path"] for each in critical] == ["firmware.version"]
    assert odd[0]["cause"] == "event/7"
    assert unknown.status_code == 404


async def test_no_password_enters_a_twin(house: House) -> None:
    secret = {"values": {"SecurityCtrlr.BasicAuthPassword": "hunter2hunter2hunter2"}}
    async with house.client(Role.ADMIN) as client:
        answer = await client.patch(f"{URL}/configuration", json=secret, headers=FIRST)
        gone = {"values": {"SecurityCtrlr.BasicAuthPassword": None}}
        taken_away = await client.patch(f"{URL}/configuration", json=gone, headers=FIRST)
    assert answer.status_code == 422
    assert "hunter2" not in answer.text
    assert taken_away.status_code == 200


async def test_what_is_outside_the_schema_or_too_large_is_refused(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        outside = await client.put(f"{URL}/firmware", json={"colour": "red"}, headers=FIRST)
        large = await client.put(f"{URL}/configuration", json={"values": {"A": "x" * 300_000}}, headers=FIRST)
        unknown = [
            await client.get(f"{URL}/operation"),
            await client.get("/api/v1/chargers/CP-2/desired"),
        ]
    assert outside.status_code == 422
    assert outside.json()["problems"] == ["firmware.colour: the schema has no such field"]
    assert large.status_code == 413
    assert [answer.status_code for answer in unknown] == [404, 404]


async def test_the_past_is_asked_for_in_exactly_one_way(house: House) -> None:
    url = "/api/v1/chargers/CP-1/twin"
    noon = "2026-11-20T12:00:00Z"
    async with house.client(Role.VIEWER) as client:
        good = [await client.get(url, params=each) for each in ({"known_at": noon}, {"true_at": noon})]
        bad = [
            await client.get(url, params=each)
            for each in ({}, {"known_at": noon, "revision": "1"}, {"known_at": "12:00"}, {"revision": "-1"})
        ]
        ahead = await client.get(url, params={"revision": "99999"})
    assert [answer.status_code for answer in good] == [200, 200]
    assert [answer.json()["late"] for answer in good] == [[], [7]]
    assert [question.known_at for question in house.twins.asked] == [NOW, None]
    assert [answer.status_code for answer in bad] == [422] * 4
    assert ahead.status_code == 404


async def test_a_value_leads_to_its_frame_and_a_twin_to_its_events(house: House) -> None:
    url = "/api/v1/chargers/CP-1"
    origin = Origin(
        "CP-1", "x", "300", 4, "reported", "charger", "event/9", NOW, NOW, {"kind": "k"}, ("[2]",)
    )
    house.twins.origins["configuration.values.A.B", "reported"] = origin
    async with house.client(Role.VIEWER) as client:
        found = await client.get(f"{url}/why", params={"field": "configuration.A.B"})
        unknown = await client.get(f"{url}/why", params={"field": "firmware.colour"})
        unset = await client.get(f"{url}/why", params={"field": "firmware.version"})
        rebuilt = await client.get(f"{url}/rebuild")
    assert found.json()["frames"] == ["[2]"]
    assert (unknown.status_code, unset.status_code) == (422, 404)
    assert rebuilt.json()["same"] is True


@pytest.mark.requirement("F21")
async def test_all_twins_are_compared_and_repairing_one_is_for_few(house: House) -> None:
    house.twins.differing = ("firmware",)
    async with house.client(Role.OPERATOR) as client:
        page = (await client.get("/api/v1/rebuilds", params={"limit": 1})).json()
        refused = await client.post("/api/v1/chargers/CP-1/rebuild", json={"reason": "restored"})
    assert page["items"][0]["differing"] == ["firmware"]
    async with house.client(Role.ADMIN) as client:
        done = await client.post("/api/v1/chargers/CP-1/rebuild", json={"reason": "restored"})
        again = await client.post("/api/v1/chargers/CP-1/rebuild", json={"reason": "restored"})
        no_reason = await client.post("/api/v1/chargers/CP-1/rebuild", json={})
    assert (refused.status_code, no_reason.status_code) == (403, 422)
    assert (done.json()["repaired"], again.json()["repaired"]) == (["firmware"], [])


@pytest.mark.requirement("F21")
async def test_whoever_may_only_read_makes_no_more_than_a_few_twins_anew_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, seated, rebuild = asyncio.Event(), asyncio.Barrier(3), house.twins.rebuild

    async def slow(charger_id: str) -> Rebuilt:
        if not told.is_set():
            await seated.wait()
        await told.wait()
        return await rebuild(charger_id)

    monkeypatch.setattr(house.twins, "rebuild", slow)
    async with house.client(Role.VIEWER) as client:
        url = "/api/v1/chargers/CP-1/rebuild"
        running = [asyncio.create_task(client.get(url)) for _ in range(2)]
        async with asyncio.timeout(20):
            await seated.wait()
        refused = [await client.get(url), await client.get("/api/v1/rebuilds")]
        told.set()
        answered = [(await each).status_code for each in running]
        after = await client.get(url)
    assert [each.status_code for each in refused] == [503, 503]
    assert refused[0].json()["type"].endswith("too-many-rebuilds")
    assert refused[0].headers["Retry-After"]
    assert (answered, after.status_code) == ([200, 200], 200)
