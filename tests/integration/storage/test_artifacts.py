"""The road of an image: kept once, staged, signed over exactly these bytes."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage.artifact import (
    Artifact,
    ArtifactPhase,
    Compatible,
    SignOff,
    StagedRelease,
    VendorSignature,
)
from storage.charger import SignatureScheme
from storage.errors import Conflict, InvalidInput, NotFound
from storage.evidence import EvidenceKind, EvidenceRef
from storage.postgres.artifacts import PostgresArtifactStore

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ARTIFACT = Artifact(
    artifact_id="a" * 64,
    vendor_role="volt",
    version="1.1",
    release_counter=11,
    length=2**40,
    compatible=(Compatible("Volt", "V2", ("a", "b")), Compatible("Volt", "V3")),
    vendor_signatures=(VendorSignature(SignatureScheme.ECDSA_P256, "c2ln", "-----BEGIN"),),
    phase=ArtifactPhase.UPLOADED,
    uploaded_by="ann",
    uploaded_at=AT,
    filename="v.bin",
)
STAGED = StagedRelease(ARTIFACT.artifact_id, "volt", 3, b"\x00{}", "5" * 64, 2, ("k1", "k2", "k3"))


def signature(keyid: str, *, over: str = STAGED.sha256, minute: int = 0) -> SignOff:
    at = AT + timedelta(minutes=minute)
    return SignOff(ARTIFACT.artifact_id, over, keyid, "beef", f"owner of {keyid}", at)


@pytest.fixture
def artifacts(engine) -> PostgresArtifactStore:
    return PostgresArtifactStore(engine)


@pytest.fixture
async def added(artifacts) -> PostgresArtifactStore:
    await artifacts.add(ARTIFACT)
    return artifacts


async def test_an_artifact_comes_back_whole(added) -> None:
    assert await added.get(ARTIFACT.artifact_id) == ARTIFACT
    assert await added.by_version("volt", "1.1") == ARTIFACT
    assert await added.by_version("volt", "1.2") is None
    with pytest.raises(NotFound):
        await added.get("b" * 64)


async def test_the_same_bytes_or_the_same_version_are_refused(added) -> None:
    for other in (replace(ARTIFACT, version="2.0"), replace(ARTIFACT, artifact_id="b" * 64)):
        with pytest.raises(Conflict):
            await added.add(other)
    await added.add(replace(ARTIFACT, artifact_id="b" * 64, vendor_role="amp"))


async def test_rejected_bytes_come_again_as_a_new_attempt(added) -> None:
    piece = EvidenceRef(EvidenceKind.SBOM, "e" * 64, 7, "ann", AT)
    await added.set_evidence(ARTIFACT.artifact_id, piece)
    await added.stage(STAGED)
    await added.add_sign_off(signature("k1"))
    await added.set_phase(ARTIFACT.artifact_id, ArtifactPhase.REJECTED, "the signature is broken")
    again = replace(ARTIFACT, version="1.1a", uploaded_by="bob", uploaded_at=AT + timedelta(days=1))
    await added.add(again)
    assert await added.get(ARTIFACT.artifact_id) == again, "nothing is left of the attempt before"
    assert await added.staged(ARTIFACT.artifact_id) is None
    await added.stage(STAGED)
    assert await added.sign_offs(ARTIFACT.artifact_id) == []
    with pytest.raises(Conflict):
        await added.add(again)


async def test_a_version_is_free_again_once_its_bytes_were_rejected(added) -> None:
    await added.set_phase(ARTIFACT.artifact_id, ArtifactPhase.REJECTED, "cut on its way")
    assert (await added.by_version("volt", "1.1")).phase is ArtifactPhase.REJECTED
    right = replace(ARTIFACT, artifact_id="b" * 64)
    attempts = await asyncio.gather(*(added.add(right) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in attempts if each] == [Conflict, Conflict]
    assert await added.by_version("volt", "1.1") == right
    with pytest.raises(Conflict, match=r"volt 1\.1, is there already"):
        await added.add(ARTIFACT)


async def test_phases_carry_their_reason(added) -> None:
    await added.set_phase(ARTIFACT.artifact_id, ArtifactPhase.REJECTED, "the signature is broken")
    found = await added.get(ARTIFACT.artifact_id)
    assert (found.phase, found.reason) == (ArtifactPhase.REJECTED, "the signature is broken")
    with pytest.raises(NotFound):
        await added.set_phase("b" * 64, ArtifactPhase.RELEASED, "")


async def test_pages_run_from_the_newest(artifacts) -> None:
    for number in range(5):
        at = AT + timedelta(minutes=number // 2)
        await artifacts.add(
            replace(ARTIFACT, artifact_id=str(number) * 64, version=f"1.{number}", uploaded_at=at)
        )
    seen, cursor = [], None
    while True:
        page = await artifacts.find(limit=2, cursor=cursor)
        seen += [each.version for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["1.4", "1.3", "1.2", "1.1", "1.0"]
    with pytest.raises(InvalidInput):
        await artifacts.find(cursor="WyJub3QgYSB0aW1lIiwieCJd")


async def test_what_is_staged_comes_back_byte_for_byte(added) -> None:
    assert await added.staged(ARTIFACT.artifact_id) is None
    await added.stage(STAGED)
    assert await added.staged(ARTIFACT.artifact_id) == STAGED
    with pytest.raises(NotFound):
        await added.stage(replace(STAGED, artifact_id="b" * 64))


async def test_the_first_signature_of_a_key_stands(added) -> None:
    await added.stage(STAGED)
    first = signature("k2")
    for given in (first, replace(first, signature="cafe"), signature("k1", minute=1)):
        await added.add_sign_off(given)
    assert await added.sign_offs(ARTIFACT.artifact_id) == [first, signature("k1", minute=1)]
    with pytest.raises(NotFound):
        await added.add_sign_off(replace(first, artifact_id="b" * 64))


async def test_who_is_staged_as_a_version_that_is_taken_is_found(artifacts) -> None:
    """Of this role, on the way to signatures, staged as this version or an earlier one."""
    as_version = {1: 3, 2: 4, 3: 5, 4: 4, 5: 4}
    for number, version in as_version.items():
        artifact_id, role = str(number) * 64, "bolt" if number == 4 else ARTIFACT.vendor_role
        await artifacts.add(
            replace(ARTIFACT, artifact_id=artifact_id, vendor_role=role, version=f"1.{number}")
        )
        await artifacts.stage(replace(STAGED, artifact_id=artifact_id, role=role, version=version))
    await artifacts.set_phase("5" * 64, ArtifactPhase.RELEASED, "it is out")
    assert await artifacts.overtaken(ARTIFACT.vendor_role, 4) == ["1" * 64, "2" * 64]
    assert await artifacts.overtaken(ARTIFACT.vendor_role, 2) == []


@pytest.mark.requirement("S16")
async def test_another_staging_voids_what_was_signed(added) -> None:
    await added.stage(STAGED)
    await added.add_sign_off(signature("k1"))
    await added.stage(replace(STAGED, version=4, sha256="6" * 64))
    assert await added.sign_offs(ARTIFACT.artifact_id) == []
    await added.add_sign_off(signature("k1", over="6" * 64))
    assert [each.staged_sha256 for each in await added.sign_offs(ARTIFACT.artifact_id)] == ["6" * 64]
