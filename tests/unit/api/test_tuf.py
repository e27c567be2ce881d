"""The TUF metadata is public; only "there is none" is 404."""

from typing import Any

import pytest

from api.routers import tuf
from signing.trust_source import METADATA_PREFIX
from storage.errors import EngineUnavailable, NotFound
from tests.support.house import House


def house_with(files: dict[str, bytes]) -> House:
    house = House()

    async def get(key: str, *, limit: int) -> tuple[bytes, str]:
        if key not in files:
            raise NotFound("object", key)
        return files[key], "etag"

    house.blobs.get = get  # type: ignore[attr-defined]
    return house


def test_it_serves_the_repository_that_the_verifiers_read() -> None:
    assert tuf.PREFIX == METADATA_PREFIX


async def test_a_file_comes_as_it_was_signed() -> None:
    files = {"tuf/metadata/timestamp.json": b"{t}", "tuf/metadata/3.volta.json": b"{v}"}
    async with house_with(files).client() as client:
        timestamp = await client.get("/tuf/metadata/timestamp.json")
        role = await client.get("/tuf/metadata/3.volta.json")
        again = await client.get(
            "/tuf/metadata/3.volta.json", headers={"If-None-Match": role.headers["etag"]}
        )
        missing = await client.get("/tuf/metadata/4.volta.json")

    assert (timestamp.content, role.content) == (b"{t}", b"{v}")
    assert timestamp.headers["cache-control"] == "no-cache"
    assert "immutable" in role.headers["cache-control"]
    assert (again.status_code, missing.status_code) == (304, 404)


@pytest.mark.parametrize("name", ["..%2F..%2Fsecret", "root.json", "1.root.json.bak", "x", "1.A.json"])
async def test_no_other_object_is_reached(name: str) -> None:
    async with house_with({f"tuf/metadata/{name}": b"secret"}).client() as client:
        answer = await client.get(f"/tuf/metadata/{name}")

    assert answer.status_code == 404


@pytest.mark.requirement("S20")
async def test_an_outage_is_no_missing_file() -> None:
    house = House()

    async def get(key: str, *, limit: int) -> Any:
        raise EngineUnavailable("The object store does not answer.")

    house.blobs.get = get  # type: ignore[attr-defined]
    async with house.client() as client:
        answer = await client.get("/tuf/metadata/2.root.json")

    assert answer.status_code == 503
