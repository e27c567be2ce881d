"""Taking away is for one, giving back for two; a list must be the manufacturer's."""

import base64
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from signing.development import DevelopmentManufacturer
from signing.revocation import certificate_subjects
from storage.access import Role
from storage.artifact import ArtifactPhase
from storage.charger import SignatureScheme
from tests.support.crl import revocation_list, serial_of
from tests.support.house import NOW, House

REASON = {"reason": "it bricks chargers"}


@pytest.fixture
def house() -> House:
    return House()


async def post(house: House, path: str, body: Any, role: Role = Role.SECURITY) -> httpx2.Response:
    async with house.client(role) as client:
        return await client.post(f"/api/v1/withdrawals{path}", json=body)


@pytest.mark.requirement("S66")
async def test_a_release_is_withdrawn_by_one_and_restored_by_two(house: House) -> None:
    artifact = house.add_artifact("1.0")
    given = await post(house, "", {"artifact_id": artifact.artifact_id, **REASON})
    assert given.status_code == 200, given.text
    subject = given.json()["subject"]
    assert house.artifacts.all[artifact.artifact_id].phase is ArtifactPhase.REVOKED
    first = await post(house, "/restorations", {"subject": subject})
    assert first.json()["in_force"]
    assert house.artifacts.all[artifact.artifact_id].phase is ArtifactPhase.REVOKED
    assert (await post(house, "/restorations", {"subject": subject})).status_code == 409
    second = await post(house, "/restorations", {"subject": subject}, Role.RELEASE_MANAGER)
    assert not second.json()["in_force"]
    assert house.artifacts.all[artifact.artifact_id].phase is ArtifactPhase.RELEASED
    assert house.audit.actions == ["artifact.withdrawn", "artifact.restore_voted", "artifact.restored"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_who_may_not_release_may_not_withdraw(house: House, role: Role) -> None:
    artifact = house.add_artifact("1.0")
    for path, body in (
        ("", {"artifact_id": artifact.artifact_id, **REASON}),
        ("/restorations", {"subject": f"artifact:{artifact.artifact_id}"}),
        ("/lists", {"crl": "x"}),
    ):
        assert (await post(house, path, body, role)).status_code == 403
    assert not house.withdrawals.rows


@pytest.mark.parametrize(
    "body",
    [
        {**REASON},
        {"artifact_id": "a" * 64},
        {"artifact_id": "a" * 64, "certificate_sha256": "b" * 64, **REASON},
        {"certificate": "nonsense", **REASON},
        {"certificate": "", **REASON},
        {"artifact_id": "../x", **REASON},
        {"artifact_id": "a" * 64, "reason": ""},
    ],
)
async def test_nonsense_is_refused(house: House, body: dict[str, str]) -> None:
    assert (await post(house, "", body)).status_code in (404, 422)
    assert not house.withdrawals.rows


async def test_only_releases_are_withdrawn(house: House) -> None:
    artifact = house.add_artifact("1.0", phase=ArtifactPhase.AWAITING_SIGNATURES)
    assert (await post(house, "", {"artifact_id": artifact.artifact_id, **REASON})).status_code == 409


@pytest.mark.requirement("S36")
@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
async def test_a_manufacturers_list_withdraws_its_certificates_for_good(house: House, form: Encoding) -> None:
    maker = DevelopmentManufacturer.create("acme", NOW)
    leaf = maker.leaf(SignatureScheme.ECDSA_P256, NOW)
    data = revocation_list(maker, NOW, serial_of(leaf.certificate), form=form)
    text = data.decode() if form is Encoding.PEM else base64.b64encode(data).decode()
    refused = await post(house, "/lists", {"crl": text})
    assert refused.status_code == 422
    assert not house.withdrawals.rows
    house.manufacturer_roots.append(maker.root)
    taken = await post(house, "/lists", {"crl": text})
    assert taken.json() == {"listed": 1, "withdrawn": 1}
    assert (await post(house, "/lists", {"crl": text})).json() == {"listed": 1, "withdrawn": 0}
    (standing,) = await house.withdrawals.in_force(certificate_subjects(leaf.certificate))
    for role in (Role.SECURITY, Role.ADMIN):
        answer = await post(house, "/restorations", {"subject": standing.subject}, role)
        assert answer.status_code == 409
    async with house.client(Role.VIEWER) as client:
        (listed,) = (await client.get("/api/v1/withdrawals")).json()["items"]
    assert (listed["source"], listed["in_force"]) == ("list", True)


@pytest.mark.requirement("S36")
async def test_a_certificate_is_withdrawn_by_its_file_or_its_hash(house: House) -> None:
    leaf = DevelopmentManufacturer.create("acme", NOW).leaf(SignatureScheme.ECDSA_P256, NOW)
    by_file = (await post(house, "", {"certificate": leaf.certificate, **REASON})).json()
    assert by_file["subject"] in certificate_subjects(leaf.certificate)
    fingerprint = by_file["subject"].partition(":")[2]
    by_hash = (await post(house, "", {"certificate_sha256": fingerprint, "reason": "again"})).json()
    assert by_hash == by_file, "the first reason stands"
