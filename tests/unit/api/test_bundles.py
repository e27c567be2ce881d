"""The door to evidence bundles, and the command that checks one."""

from typing import Any

import pytest

from storage.access import Role
from storage.bundle import bundle_key
from tests.support.house import House

URL = "/api/v1/chargers/CP-1/evidence"


@pytest.mark.requirement("F29")
async def test_a_bundle_is_asked_for_once_by_who_may_and_fetched_as_it_is() -> None:
    house = House()
    house.add_site()
    house.add_charger("CP-1")
    key = {"Idempotency-Key": "k1"}
    async with house.client(Role.ADMIN) as client:
        first = await client.post(URL, json={"reason": "warranty"}, headers=key)
        again = await client.post(URL, json={"reason": "warranty"}, headers=key)
        other = await client.post(URL, json={"reason": "another claim"}, headers=key)
        bundle_id = first.json()["bundle_id"]
        await house.blobs.put_bytes(bundle_key(bundle_id), b'{"kind":"manifest"}\n')
        fetched = await client.get(first.headers["location"])
        missing = await client.get(f"{URL}/{'0' * 64}")
        bad: list[Any] = [
            await client.post(URL, json=body)
            for body in (
                {},
                {"reason": "x", "since": "2026-11-20T12:00:00Z", "until": "2026-11-20T12:00:00Z"},
                {"reason": "x", "since": "2020-11-20T12:00:00Z"},
            )
        ]
    async with house.client(Role.OPERATOR) as client:
        refused = await client.post(URL, json={"reason": "x"})
    assert (first.status_code, again.json()["bundle_id"]) == (201, bundle_id)
    assert (fetched.status_code, fetched.content) == (200, b'{"kind":"manifest"}\n')
    assert other.json()["bundle_id"] != bundle_id
    assert (missing.status_code, refused.status_code) == (404, 403)
    assert [each.status_code for each in bad] == [422, 422, 422]
