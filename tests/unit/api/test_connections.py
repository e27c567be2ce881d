"""How chargers are to connect, at the door: what is asked for, who may, and what is refused at once."""

from typing import Any

import pytest

from csms.pki.roots import root_hashes
from storage.access import Role
from storage.connection import Connection, Endpoint
from storage.renewal import FleetWork, RenewalPlan, spelled
from tests.support.house import NOW, House
from tests.support.pki import Authority

WHERE = "/api/v1/connections"
CHARGER = {"name": "up", "charger_ids": ["CP-1"]}


@pytest.fixture
def house() -> House:
    made = House()
    made.add_site()
    made.add_charger("CP-1")
    made.endpoints = (
        *made.endpoints,
        Endpoint("depot", None, "wss://10.0.0.5/ocpp", "depot.iot", "tunnel 4"),
    )
    return made


@pytest.fixture
def root(tmp_path: Any) -> str:
    return str(Authority.root("Servers", NOW).write(tmp_path / "root.pem").read_text())


async def post(house: House, path: str, body: Any, role: Role = Role.SECURITY, **headers: str) -> Any:
    async with house.client(role) as client:
        return await client.post(f"{WHERE}{path}", json=body, headers=headers)


async def plan(house: House, answer: Any) -> RenewalPlan:
    assert answer.status_code == 202, answer.text
    return (await house.services.renewals.get(answer.json()["renewal_id"])).plan


@pytest.mark.requirement("F54", "F57", "S61")
async def test_each_job_says_what_chargers_are_to_have(house: House, root: str) -> None:
    raised = await plan(house, await post(house, "/profiles", {**CHARGER, "profile": 2, "root": root}))
    assert raised.work is FleetWork.RAISE_PROFILE
    assert raised.connection == Connection("wss://csms.test/ocpp", 2)
    assert raised.root == root
    assert raised.root_names == tuple(spelled(each) for each in root_hashes(root))

    way = {"endpoint": "depot", "interface": "Wireless0", "slot": 2, "root": root}
    moved = await plan(house, await post(house, "/networks", {**CHARGER, **way}))
    assert moved.work is FleetWork.CHANGE_NETWORK
    assert moved.connection == Connection(
        "wss://10.0.0.5/ocpp", 0, "depot", "Wireless0", apn="depot.iot", vpn="tunnel 4", slot=2
    )
    plain = await plan(house, await post(house, "/networks", {**CHARGER, "profile": 1}))
    assert plain.connection == Connection("ws://csms.test/ocpp", 1)
    assert plain.root == ""

    rotated = await plan(house, await post(house, "/passwords", CHARGER))
    assert (rotated.work, rotated.connection) == (FleetWork.ROTATE_PASSWORD, None)


@pytest.mark.parametrize(
    ("path", "more", "status", "said"),
    [
        ("/profiles", {"profile": 1}, 422, "profile"),
        ("/profiles", {"profile": 4}, 422, "profile"),
        ("/profiles", {"profile": 2}, 422, "root: is missing"),
        ("/profiles", {"profile": 2, "root": "hello"}, 422, "root:"),
        ("/profiles", {"profile": 2, "endpoint": "nowhere"}, 404, "main, depot"),
        ("/networks", {"endpoint": "depot", "profile": 1}, 422, "no ws address"),
        ("/networks", {"slot": 101}, 422, "slot"),
        ("/profiles", {"profile": 3, "url": "wss://evil.test/"}, 422, "url"),
    ],
)
async def test_what_leads_nowhere_is_refused_at_once(
    house: House, path: str, more: dict[str, Any], status: int, said: str
) -> None:
    answer = await post(house, path, {**CHARGER, **more})
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


async def test_only_security_moves_chargers_and_everybody_may_look(house: House) -> None:
    for path, body in (("/profiles", {**CHARGER, "profile": 2}), ("/passwords", CHARGER)):
        assert (await post(house, path, body, Role.OPERATOR)).status_code == 403
    async with house.client(Role.VIEWER) as client:
        found = (await client.get(f"{WHERE}/endpoints")).json()["items"]
    assert [each["name"] for each in found] == ["main", "depot"]


async def test_the_same_key_is_the_same_job(house: House) -> None:
    key = {"Idempotency-Key": "k1"}
    first, second = [await post(house, "/passwords", CHARGER, **key) for _ in range(2)]
    assert first.json()["renewal_id"] == second.json()["renewal_id"]
    other = await post(house, "/passwords", {**CHARGER, "canary": 5}, **key)
    assert other.status_code in (409, 422)
