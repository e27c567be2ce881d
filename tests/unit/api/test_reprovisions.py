"""The doors to going through provisioning again."""

import pytest

from storage.access import Role
from tests.support.house import House

pytestmark = pytest.mark.requirement("F46")
URL = "/api/v1/chargers/CP-1/reprovisions"
KEEP = {"mode": "keep", "reason": "sold"}


@pytest.fixture
def house() -> House:
    house = House()
    house.add_site()
    house.add_charger("CP-1")
    return house


async def test_it_is_asked_once_started_and_followed(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        key = {"Idempotency-Key": "k1"}
        first = await client.post(URL, json=KEEP, headers=key)
        again = await client.post(URL, json=KEEP, headers=key)
        other = await client.post(URL, json=KEEP)
        shown = (await client.get(URL)).json()["items"]
    assert [each.status_code for each in (first, again, other)] == [202, 202, 409]
    assert first.json()["reprovision_id"] == again.json()["reprovision_id"]
    assert first.headers["location"] == URL
    assert [each["state"] for each in shown] == ["running"]


@pytest.mark.parametrize(
    "body",
    [
        {"mode": "keep"},
        {"mode": "wipe", "reason": "x"},
        {**KEEP, "profile": 4},
        {**KEEP, "wait_minutes": -1},
        {**KEEP, "template": "../x"},
        {**KEEP, "parameters": {"a": "b" * 501}},
        {**KEEP, "surplus": 1},
    ],
)
async def test_nonsense_is_refused(house: House, body: dict[str, object]) -> None:
    async with house.client(Role.ADMIN) as client:
        assert (await client.post(URL, json=body)).status_code == 422


async def test_only_who_may_write_the_fleet_may(house: House) -> None:
    async with house.client(Role.OPERATOR) as client:
        assert (await client.post(URL, json=KEEP)).status_code == 403
        assert (await client.get(URL)).status_code == 200
