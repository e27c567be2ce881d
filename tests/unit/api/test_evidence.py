"""Evidence at the door: held to its image before it is stored, recorded when it is refused."""

from dataclasses import replace
from typing import Any

import pytest

from storage.access import Role
from storage.artifact import Artifact, ArtifactPhase, Compatible
from storage.evidence import evidence_key
from tests.support import evidence_maker as made
from tests.support.evidence_maker import OTHER, SHA
from tests.support.house import NOW, House

URL = f"/api/v1/artifacts/{SHA}/evidence"


@pytest.fixture
def house() -> House:
    made_house = House()
    models = (Compatible("Voltworks", "VW-22"),)
    made_house.artifacts.all[SHA] = Artifact(
        SHA, "voltworks", "1.1", 1, 8, models, (), ArtifactPhase.AWAITING_EVIDENCE, "ann", NOW
    )
    return made_house


async def put(house: House, kind: str, data: bytes, role: Role = Role.RELEASE_MANAGER) -> Any:
    async with house.client(role) as client:
        return await client.put(f"{URL}/{kind}", content=data, headers={"Content-Type": "application/json"})


@pytest.mark.requirement("S49", "S50", "S51")
async def test_each_kind_is_taken_stored_by_its_hash_and_judged(house: House) -> None:
    pieces = {"sbom": made.sbom(), "provenance": made.provenance(), "vex": made.openvex("CVE-2026-1")}
    for kind, data in pieces.items():
        answer = await put(house, kind, data)
        assert answer.status_code == 200, answer.text
    listed = {one["kind"]: one["sha256"] for one in answer.json()}
    assert set(listed) == set(pieces)
    assert {evidence_key(sha256) for sha256 in listed.values()} == set(house.blobs.objects)
    assert house.audit.actions == ["evidence.added"] * 3
    assert house.orchestrator.asked == [("evidence_changed", SHA)] * 3
    async with house.client(Role.VIEWER) as client:
        back = await client.get(f"{URL}/sbom")
        assert (back.content, back.headers["etag"]) == (made.sbom(), f'"{listed["sbom"]}"')
        assert (await client.get(f"{URL}/vsa")).status_code == 404


@pytest.mark.requirement("S49", "S50", "S51")
@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("sbom", made.sbom(OTHER), "another image"),
        ("provenance", made.provenance(sha256=OTHER), "not about this image"),
        ("vex", made.openvex("CVE-2026-1", sha256=OTHER), "about this image"),
        ("vex", made.sbom(), "not a DSSE envelope"),
        ("sbom", b"[" * 200_000, "nested more than 64 deep"),
        ("sbom", b'{"a":1,"a":2}', "is there twice"),
        ("sbom", b"\xff", "not JSON in UTF-8"),
        ("sbom", b"", "not JSON"),
    ],
)
async def test_what_is_not_of_this_image_is_refused_recorded_and_not_stored(
    house: House, kind: str, data: bytes, why: str
) -> None:
    answer = await put(house, kind, data)
    assert answer.status_code == 422, answer.text
    assert why in answer.text
    assert house.blobs.objects == {}
    assert house.artifacts.all[SHA].evidence == ()
    assert house.audit.actions == ["evidence.refused"]
    assert house.orchestrator.asked == []


async def test_a_huge_one_is_cut_off_at_the_door(house: House) -> None:
    assert (await put(house, "sbom", b" " * (8 * 1024**2 + 1))).status_code == 413
    assert house.blobs.objects == {}


@pytest.mark.requirement("S49")
async def test_what_people_signed_keeps_its_evidence(house: House) -> None:
    house.artifacts.all[SHA] = replace(house.artifacts.all[SHA], phase=ArtifactPhase.RELEASED)
    answer = await put(house, "sbom", made.sbom())
    assert answer.status_code == 409
    assert house.blobs.objects == {}
    assert house.audit.actions == ["evidence.refused"]
    async with house.client(Role.ADMIN) as client:
        assert (await client.delete(f"{URL}/sbom")).status_code == 409


async def test_who_may_and_what_is_no_kind(house: House) -> None:
    assert (await put(house, "sbom", made.sbom(), Role.OPERATOR)).status_code == 403
    assert (await put(house, "vex", made.openvex("CVE-2026-1"), Role.SECURITY)).status_code == 200
    assert (await put(house, "vsa", made.sbom())).status_code == 422, "the verdict is the signer's alone"
    async with house.client(Role.ADMIN) as client:
        answer = await client.delete(f"{URL}/vex")
        assert answer.json() == []
    assert house.audit.actions[-1] == "evidence.removed"
