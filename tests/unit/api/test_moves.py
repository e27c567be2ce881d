"""The door to moves: who may, against which version, and what stands in the way."""

from typing import Any

import pytest

from storage.access import Role
from storage.errors import Conflict
from tests.support.house import House

URL = "/api/v1/chargers/CP-1"
FIRST = {"If-Match": '"1"'}
BODY = {"site_id": "mall", "operator": "north-grid", "reason": "sold"}


@pytest.fixture
def house() -> House:
    house = House()
    house.add_site()
    house.add_site("mall")
    house.add_charger("CP-1")
    return house


@pytest.mark.requirement("F3")
async def test_a_move_changes_where_a_charger_belongs_and_keeps_what_was(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        before = (await client.get(URL)).json()
        moved = await client.post(f"{URL}/moves", json=BODY, headers=FIRST)
        after = (await client.get(URL)).json()
        stale = await client.post(f"{URL}/moves", json=BODY, headers=FIRST)
        listed = (await client.get(f"{URL}/moves")).json()["items"]
    assert (moved.status_code, stale.status_code) == (201, 412)
    assert (before["site_id"], before["ownership"]["operator"], before["ownership_version"]) == (
        "harbour",
        None,
        1,
    )
    assert (after["site_id"], after["ownership"]["operator"], after["ownership_version"]) == (
        "mall",
        "north-grid",
        2,
    )
    assert [(each["state"], each["before"]) for each in listed] == [
        ("done", {"site_id": "harbour", "operator": None})
    ]
    async with house.client() as client:
        await client.post("/login", data={"token": house.texts[Role.VIEWER]})
        page = await client.get(URL.removeprefix("/api/v1"))
    assert "north-grid" in page.text
    assert "Last move" in page.text


@pytest.mark.requirement("F3")
async def test_a_move_is_refused_while_something_has_the_charger_and_says_what(house: House) -> None:
    house.registry.obstacle = "campaign c1 has it as a target"
    async with house.client(Role.ADMIN) as client:
        busy = await client.post(f"{URL}/moves", json=BODY, headers=FIRST)
        house.registry.obstacle, house.orchestrator.failure = (
            None,
            Conflict("other maintenance has it just now"),
        )
        locked = await client.post(f"{URL}/moves", json=BODY, headers=FIRST)
        charger = (await client.get(URL)).json()
    assert (busy.status_code, locked.status_code) == (409, 409)
    assert "campaign c1 has it as a target" in busy.text
    assert "other maintenance has it just now" in locked.text
    assert charger["site_id"] == "harbour"


@pytest.mark.requirement("F3")
async def test_the_same_key_moves_once(house: House) -> None:
    headers = {**FIRST, "Idempotency-Key": "k1"}
    async with house.client(Role.ADMIN) as client:
        first = await client.post(f"{URL}/moves", json=BODY, headers=headers)
        again = await client.post(f"{URL}/moves", json=BODY, headers=headers)
    assert (first.json(), again.status_code) == (again.json(), 201)
    assert [each[0] for each in house.orchestrator.asked].count("move_charger") == 1


@pytest.mark.requirement("F3")
async def test_no_other_write_moves_a_charger_and_each_names_the_move(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        answers: list[Any] = [
            await client.put(f"{URL}/desired/ownership", json={"operator": "x"}, headers={"If-Match": '"0"'}),
            await client.patch(f"{URL}/desired/register", json={"site_id": "x"}, headers={"If-Match": '"0"'}),
            await client.get(f"{URL}/desired/ownership"),
        ]
        refused = [
            await client.post(f"{URL}/moves", json=BODY),
            await client.post(f"{URL}/moves", json={"reason": "none"}, headers=FIRST),
            await client.post(f"{URL}/moves", json={**BODY, "site_id": None}, headers=FIRST),
        ]
    async with house.client(Role.OPERATOR) as client:
        refused.append(await client.post(f"{URL}/moves", json=BODY, headers=FIRST))
    assert [each.status_code for each in answers] == [409, 409, 404]
    assert all("ampwave charger move" in each.text for each in answers)
    assert [each.status_code for each in refused] == [428, 422, 422, 403]


async def test_an_import_that_leaves_ownership_out_says_nothing_about_it(house: House) -> None:
    row = {"charger_id": "CP-1", "site_id": "mall", "vendor": "Volta", "model": "V22"}
    async with house.client(Role.ADMIN) as client:
        there = (await client.get(URL)).json()
        row |= {name: there[name] for name in ("vendor", "model", "serial_number", "hardware_revision")}
        await client.post(f"{URL}/moves", json=BODY, headers=FIRST)
        url = "/api/v1/chargers/import"
        same = (await client.post(url, json=[row])).json()["rows"][0]
        other = (await client.post(url, json=[{**row, "operator": "south"}])).json()["rows"][0]
    assert same["result"] == "unchanged", same
    assert other["result"] == "refused"
    assert "ampwave charger move" in other["problems"][0]
