"""The door to firmware passports, and the commands that fetch and check them."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app as cli
from storage.access import Role
from storage.canonical import sha256_hex
from storage.retirement import receipt_key
from tests.support.house import House
from tests.support.passports import facts, signed_passport

URL = "/api/v1/chargers/CP-1/passport"


async def test_a_passport_is_asked_for_once_by_who_may_and_fetched_by_its_own_charger_alone(
    tmp_path: Path,
) -> None:
    house = House()
    house.add_site()
    house.add_charger("CP-1")
    house.add_charger("CP-2")
    document = await signed_passport(tmp_path, facts())
    sha256 = sha256_hex(document)
    await house.blobs.put_bytes(receipt_key(sha256), document)
    await house.blobs.put_bytes(receipt_key("0" * 64), b"[]")
    house.orchestrator.passports = lambda order: sha256
    key = {"Idempotency-Key": "k1"}
    async with house.client(Role.SECURITY) as client:
        first = await client.post(URL, json={"reason": "warranty"}, headers=key)
        again = await client.post(URL, json={"reason": "warranty"}, headers=key)
        other = await client.post(URL, json={}, headers=key)
        fetched = await client.get(first.headers["location"])
        missing = [
            await client.get(path)
            for path in (
                f"/api/v1/chargers/CP-2/passport/{sha256}",  # another charger's
                f"{URL}/{'0' * 64}",  # no document of ours
                f"{URL}/{'1' * 64}",
                f"/api/v1/chargers/CP-9/passport/{sha256}",
            )
        ]
        nobody = await client.post("/api/v1/chargers/CP-9/passport", json={})
    async with house.client(Role.OPERATOR) as client:
        refused = [await client.post(URL, json={}), await client.get(f"{URL}/{sha256}")]
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 201)
    orders = [asked[1] for asked in house.orchestrator.asked if asked[0] == "make_passport"]
    assert orders[0].passport_id == orders[1].passport_id != orders[2].passport_id
    assert (fetched.status_code, fetched.content) == (200, document)
    assert [each.status_code for each in missing] == [404] * 4
    assert (nobody.status_code, [each.status_code for each in refused]) == (404, [403, 403])


async def test_a_passport_on_disk_is_told_apart_from_a_receipt_and_from_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = await signed_passport(tmp_path, facts(retired=True))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.json").write_bytes(document)
    (tmp_path / "bad.json").write_bytes(document[:-9])
    keys = ["--key", "record.pub.json"]

    def said(*arguments: str) -> Any:
        return CliRunner().invoke(cli, [*arguments], env={"COLUMNS": "200"})

    good = said("charger", "verify-passport", "p.json", *keys, "--charger", "CP-1")
    assert good.exit_code == 0, good.output
    for words in ("CP-1", "Updates: 1", "1.0 to 1.1", "volta 4", "carl", "bob", "proceed", "charger booted"):
        assert words in good.output
    assert "Moves: 1" in said("receipt", "verify", "p.json", *keys).output
    other = said("charger", "verify-passport", "p.json", *keys, "--charger", "CP-2")
    assert (other.exit_code, "about CP-1, not about CP-2" in other.output) == (1, True)
    assert said("charger", "verify-passport", "bad.json", *keys).exit_code == 1
    keyless = said("charger", "verify-passport", "p.json", "--key", "missing.pub.json")
    assert keyless.exit_code != 0
    assert "Traceback" not in keyless.output
