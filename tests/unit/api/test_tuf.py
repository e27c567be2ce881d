"""The TUF metadata is public; only "there is none" is 404."""

from typing import Any

import pytest

from api.routers import tuf
from signing.drill_records import DrillResult, record_drill
from signing.drills import Step
from signing.trust_source import METADATA_PREFIX
from storage.access import Role
from storage.canonical import sha256_hex
from storage.errors import Conflict, EngineUnavailable, NotFound
from storage.incident import IncidentChange, IncidentKind
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


CEREMONY = "/api/v1/tuf/ceremonies"


@pytest.mark.requirement("S15")
async def test_a_ceremony_is_kept_and_published_for_the_security_role_alone() -> None:
    house = House()
    data = b'{"format":"ampwave ceremony 1"}\n'
    async with house.client(Role.SECURITY) as client:
        answer = await client.post(CEREMONY, content=data)
        kept = await client.get(f"{CEREMONY}/{sha256_hex(data)}")
        missing = await client.get(f"{CEREMONY}/{'0' * 64}")
    assert answer.status_code == 200
    assert answer.json()["sha256"] == sha256_hex(data)
    assert answer.json()["signers"] == ["ada", "grace"]
    assert (kept.content, missing.status_code) == (data, 404)
    [(_, order)] = [one for one in house.orchestrator.asked if one[0] == "publish_ceremony"]
    assert order.actor == "security@ampwave.test"
    for role in (Role.VIEWER, Role.OPERATOR, Role.RELEASE_MANAGER):
        async with house.client(role) as client:
            assert (await client.post(CEREMONY, content=data)).status_code == 403


async def test_what_the_signer_refuses_is_said_and_recorded() -> None:
    house = House()
    house.orchestrator.failure = Conflict("Not everybody has signed.")
    async with house.client(Role.SECURITY) as client:
        answer = await client.post(CEREMONY, content=b"{}")
    assert answer.status_code == 409
    assert "Not everybody has signed" in answer.text
    assert house.audit.actions == ["tuf.refused"]


@pytest.mark.parametrize("data", [b"", b"hello", b" " * 100, b"{" * (24 * 1024 * 1024 + 1)])
async def test_what_is_no_ceremony_is_neither_kept_nor_published(data: bytes) -> None:
    house = House()
    async with house.client(Role.SECURITY) as client:
        answer = await client.post(CEREMONY, content=data)
    assert answer.status_code == 422
    assert house.blobs.objects == {}
    assert house.orchestrator.asked == []


@pytest.mark.requirement("S67")
async def test_drills_on_record_are_shown() -> None:
    house = House()
    step = Step("the key is gone", held=True, seconds=0.1)
    for name in ("lost-root-key", "fast-forward"):
        await record_drill(house.blobs, DrillResult(name, True, house.now, 1.5, [step], "tools", "ada"))
    async with house.client(Role.VIEWER) as client:
        all_ = (await client.get("/api/v1/tuf/drills")).json()["items"]
        second = (await client.get("/api/v1/tuf/drills", params={"after": 1})).json()["items"]
    assert [one["drill"] for one in all_] == ["lost-root-key", "fast-forward"]
    assert second == all_[1:]
    assert all_[1]["previous"] == sha256_hex(house.blobs.objects["tuf/drills/000001.json"])


@pytest.mark.requirement("S14")
async def test_open_incidents_are_a_metric() -> None:
    house = House()
    change = IncidentChange(IncidentKind.METADATA_EXPIRING, "tuf/root/30d", house.now, "root runs out")
    await house.watch.incidents.apply([change])
    async with house.client() as client:
        text = (await client.get("/metrics")).text
    assert 'ampwave_open_incidents{kind="metadata_expiring"} 1.0' in text
    assert 'ampwave_open_incidents{kind="site_outage"} 0.0' in text
