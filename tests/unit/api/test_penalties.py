"""Chargers that are set apart, at the door (R27)."""

from datetime import timedelta

import pytest

from storage.access import Role
from storage.penalty import Penalty
from tests.support.house import NOW, House

pytestmark = pytest.mark.requirement("R27")
URL = "/api/v1/penalties"


@pytest.fixture
def house() -> House:
    house = House()
    penalty = Penalty("CP-1", NOW, NOW + timedelta(hours=24), 3, 1, "3 attempts failed")
    house.penalties.rows["CP-1"] = penalty
    return house


async def test_an_operator_sees_who_is_set_apart_and_lets_it_back_with_a_reason(house: House) -> None:
    async with house.client(Role.OPERATOR) as client:
        [one] = (await client.get(URL)).json()["items"]
        assert (one["charger_id"], one["failures"], one["reason"]) == ("CP-1", 3, "3 attempts failed")
        assert (await client.post(f"{URL}/CP-1/release", json={"reason": ""})).status_code == 422
        answer = await client.post(f"{URL}/CP-1/release", json={"reason": "new power supply"})
        assert answer.json()["released_by"] == "operator@ampwave.test"
        assert (await client.get(URL)).json()["items"] == []
        assert (await client.post(f"{URL}/CP-1/release", json={"reason": "again"})).status_code == 404
    assert house.audit.actions == ["charger.released"]


async def test_a_viewer_lets_nobody_back(house: House) -> None:
    async with house.client(Role.VIEWER) as client:
        assert (await client.post(f"{URL}/CP-1/release", json={"reason": "please"})).status_code == 403
    assert house.penalties.rows["CP-1"].holds(NOW)
