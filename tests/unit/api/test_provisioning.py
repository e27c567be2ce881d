"""Who may bring chargers into service, and into which environment."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from signing.keys import ensure_key_file, file_address, open_signer
from signing.manifest import Maker, sign_manifest
from storage.access import Role
from tests.support.house import House

ONE = {
    "charger_id": "CP-1",
    "site_id": "harbour",
    "vendor": "Volta",
    "model": "V22",
    "serial_number": "SN-1",
    "password": "a-long-password-of-its-own",
}
PLAIN = {name: value for name, value in ONE.items() if name != "password"}


def strict(**services: Any) -> House:
    house = House()
    house.add_site()
    house.app = create_app(replace(house.services, direct_registration=False, **services))
    return house


@pytest.mark.requirement("F35", "F50")
async def test_only_provisioning_brings_chargers_in_where_nobody_allowed_more() -> None:
    house = strict()
    async with house.client(Role.ADMIN) as client:
        refused = await client.post("/api/v1/chargers", json=ONE)
        assert refused.status_code == 409
        assert "ampwave provisioning import" in str(refused.json())
        for dry_run in (True, False):
            answer = await client.post("/api/v1/chargers/import", json=[PLAIN], params={"dry_run": dry_run})
            (row,) = answer.json()["rows"]
            assert (row["result"], "only provisioning" in row["problems"][0]) == ("refused", True)
        assert not house.chargers.credentials
        enrolled = await client.post("/api/v1/provisioning/enrolments", json=[ONE])
        assert enrolled.json()["enrolled"] == 1, enrolled.text
        # What is there already is only said again.
        again = await client.post("/api/v1/chargers/import", json=[PLAIN])
        assert again.json()["unchanged"] == 1


@pytest.mark.requirement("F38", "F45")
@pytest.mark.parametrize(
    ("environment", "result"), [(None, "enrolled"), ("production", "enrolled"), ("test", "refused")]
)
async def test_a_charger_of_another_environment_is_refused(environment: str | None, result: str) -> None:
    async with strict().client(Role.ADMIN) as client:
        row = {**ONE, **({"environment": environment} if environment else {})}
        answer = await client.post("/api/v1/provisioning/enrolments", json=[row])
    (told,) = answer.json()["rows"]
    assert told["result"] == result
    assert all("this is 'production', not 'test'" in problem for problem in told["problems"])


@pytest.mark.requirement("F38", "F42")
@pytest.mark.parametrize(("environment", "status"), [("test", 422), ("production", 201)])
async def test_a_list_for_another_environment_is_refused_whole(
    environment: str, status: int, tmp_path: Path
) -> None:
    path = tmp_path / "maker.pem"
    key = ensure_key_file(path)
    house = strict(makers=lambda: (Maker("Volta", key),))
    units: list[Any] = [{"serial_number": "SN-7", "model": "V22", "key_sha256": "ab" * 32}]
    document = sign_manifest("Volta", "B1", environment, units, open_signer(file_address(path), [key]))
    async with house.client(Role.ADMIN) as client:
        url = "/api/v1/provisioning/manifests"
        answer = await client.post(url, params={"site_id": "harbour"}, content=document)
    assert answer.status_code == status, answer.text
    assert ("for 'test', and this is 'production'" in answer.text) == (environment == "test")


@pytest.mark.requirement("F63")
async def test_prices_are_a_reference_that_is_kept_and_never_read() -> None:
    house = strict()
    url, whole = "/api/v1/provisioning/enrolments", "/api/v1/chargers/CP-1"
    row = {**ONE, "operator": "north-grid", "pricing_policy": "tariff/42 <b>"}
    async with house.client(Role.ADMIN) as client:
        dry = await client.post(url, json=[row], params={"dry_run": True})
        assert dry.json()["enrolled"] == 1
        assert not house.twins.sections, "a dry run keeps nothing"
        await client.post(url, json=[row])
        found = (await client.get(whole)).json()
        mapped = (found["site_id"], found["ownership"]["operator"], found["terms"])
        assert mapped == ("harbour", "north-grid", {"pricing_policy": "tariff/42 <b>"})

        written = await client.patch(
            f"{whole}/desired/terms", json={"pricing_policy": "tariff/43"}, headers={"If-Match": '"1"'}
        )
        assert written.status_code == 200, written.text
        again = await client.post(url, json=[row])
        assert again.json()["unchanged"] == 1
        assert (await client.get(whole)).json()["terms"] == {"pricing_policy": "tariff/43"}

        odd = await client.patch(
            f"{whole}/desired/terms", json={"pricing_policy": {"kwh": 0.4}}, headers={"If-Match": '"2"'}
        )
        assert odd.status_code == 422, "a reference is text; prices are not ours"
