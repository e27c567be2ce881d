"""The doors to quarantine: why a charger is set aside, what may still happen to it, what to do next."""

import pytest

from storage.access import Role
from storage.quarantine import ALLOWED
from tests.support.house import House

pytestmark = pytest.mark.requirement("F34")
URL = "/api/v1/chargers/CP-1"


@pytest.fixture
def house() -> House:
    house = House()
    house.add_site()
    house.add_charger("CP-1")
    return house


async def test_it_says_why_what_is_allowed_and_what_to_do_and_the_charger_says_why_too(house: House) -> None:
    async with house.client(Role.SECURITY) as client:
        before = (await client.get(f"{URL}/quarantine")).json()
        assert (before["current"], before["next"], before["allowed"]) == (None, "", {})
        assert (await client.get(URL)).json()["set_aside"] is None
        assert (await client.post(f"{URL}/quarantine", json={"reason": "odd"})).status_code == 200
        found = (await client.get(f"{URL}/quarantine")).json()
        assert (found["current"]["reason"], found["current"]["signal"]) == ("odd", "person")
        assert found["allowed"] == ALLOWED
        assert "ampwave charger release CP-1" in found["next"]
        whole = (await client.get(URL)).json()
        assert (whole["lifecycle"], whole["set_aside"]["reason"]) == ("quarantined", "odd")
        assert (await client.post(f"{URL}/release", json={"reason": "seen"})).status_code == 200
        assert (await client.get(f"{URL}/quarantine")).json()["current"] is None


@pytest.mark.parametrize("act", ["quarantine", "release"])
async def test_only_who_controls_trust_may_and_only_with_a_reason(house: House, act: str) -> None:
    async with house.client(Role.OPERATOR) as client:
        assert (await client.post(f"{URL}/{act}", json={"reason": "x"})).status_code == 403
        assert (await client.get(f"{URL}/quarantine")).status_code == 200
    async with house.client(Role.SECURITY) as client:
        for body in ({}, {"reason": ""}, {"reason": "x" * 501}):
            assert (await client.post(f"{URL}/{act}", json=body)).status_code == 422
        unknown = "/api/v1/chargers/NOBODY"
        assert (await client.post(f"{unknown}/quarantine", json={"reason": "x"})).status_code == 404
        assert (await client.get(f"{unknown}/quarantine")).status_code == 404
