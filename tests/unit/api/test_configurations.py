"""The doors to jobs that bring values to many chargers."""

from typing import Any

import pytest

from storage.access import Role
from tests.support.house import House

URL = "/api/v1/configurations"
BODY: dict[str, Any] = {"values": {"HeartbeatInterval": "300"}, "vendor": "Volta"}


@pytest.fixture
def house() -> House:
    house = House()
    house.add_site()
    for number in range(3):
        house.add_charger(f"CP-{number}")
    return house


@pytest.mark.requirement("F25")
async def test_a_job_is_opened_once_for_everybody_who_matches(house: House) -> None:
    key = {"Idempotency-Key": "k1"}
    async with house.client(Role.ADMIN) as client:
        first = await client.post(URL, json=BODY, headers=key)
        again = await client.post(URL, json=BODY, headers=key)
        other = await client.post(URL, json={**BODY, "deadline_seconds": 60}, headers=key)
        location = first.headers["location"]
        lines = (await client.get(f"{location}/chargers")).json()["items"]
        stopped = await client.post(f"{location.removeprefix('http://ampwave.test')}/stop")
        listed = (await client.get(URL)).json()["items"]
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
    assert first.json()["configuration_id"] == again.json()["configuration_id"]
    assert [line["charger_id"] for line in lines] == ["CP-0", "CP-1", "CP-2"]
    assert stopped.json()["state"] == "stopped"
    assert len(listed) == 1
    assert house.audit.actions == ["configuration.created", "configuration.stopped"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"values": {"A": "1"}}, "at least one of"),
        ({"values": {"A": "1"}, "charger_ids": ["CP-0"], "vendor": "Volta"}, "at least one of"),
        ({"values": {}, "vendor": "Volta"}, "at least 1 item"),
        ({"values": {"AuthorizationKey": "x"}, "vendor": "Volta"}, "is a secret"),
        ({"values": {"WifiCtrlr.Psk": "x"}, "vendor": "Volta"}, "is a secret"),
        ({"values": {"SecurityProfile": "0"}, "vendor": "Volta"}, "not set by hand"),
        ({"values": {"SecurityCtrlr.securityprofile[a]": "3"}, "vendor": "Volta"}, "not set by hand"),
        ({"values": {"A": "1"}, "vendor": "Nobody"}, "No charger matches"),
        ({"values": {"A": "1"}, "charger_ids": ["CP-0", "CP-9"]}, "CP-9: unknown"),
    ],
)
async def test_a_job_for_nobody_or_with_wrong_values_is_refused(
    house: House, body: dict[str, Any], words: str
) -> None:
    async with house.client(Role.ADMIN) as client:
        answer = await client.post(URL, json=body)
    assert answer.status_code == 422
    assert words in answer.text
    assert house.twins.jobs == {}


async def test_only_who_may_configure_opens_a_job(house: House) -> None:
    async with house.client(Role.OPERATOR) as client:
        refused = await client.post(URL, json=BODY)
        unknown = await client.get(f"{URL}/none")
    assert (refused.status_code, unknown.status_code) == (403, 404)
