"""A publication waits for the evidence that its policy asks for, and people sign what they saw of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from signing.evidence_desk import EvidenceDesk
from signing.evidence_policy import read_policy
from signing.keys import ensure_key_file
from signing.notary import RecordKeys
from signing.sbom import MAX_SBOM
from signing.vsa import open_summary
from storage.artifact import ArtifactPhase, SignOff
from storage.canonical import sha256_hex
from storage.evidence import EvidenceKind, EvidenceRef, evidence_key
from tests.integration.workflows.harness import Harness, until
from tests.support import evidence_maker as made
from tests.support.memory import MemoryBlobs
from tests.unit.activities.world import START, World

pytestmark = [pytest.mark.integration, pytest.mark.requirement("S49", "S51", "S52")]
CVE = "CVE-2026-1111"


@pytest.fixture
def blobs(world: World, tmp_path: Path) -> MemoryBlobs:
    """A signer with a record key, and a policy that asks for an SBOM."""
    ensure_key_file(tmp_path / "record.pem")
    policy = made.write_policy(tmp_path, ("sbom",), [{"cveID": CVE}])
    store = MemoryBlobs()
    world.desk = EvidenceDesk(
        store,  # type: ignore[arg-type]
        lambda: read_policy(policy),
        lambda: RecordKeys.in_folder(tmp_path),
        lambda: world.now,
    )
    return store


async def bring(real: Harness, blobs: MemoryBlobs, artifact_id: str, kind: EvidenceKind, data: bytes) -> None:
    piece = EvidenceRef(kind, sha256_hex(data), len(data), "ann", START)
    await blobs.put_bytes(evidence_key(piece.sha256), data)
    await real.world.artifacts.set_evidence(artifact_id, piece)
    await real.orchestrator.evidence_changed(artifact_id)


async def test_nothing_is_staged_until_the_evidence_holds(
    blobs: MemoryBlobs, real: Harness, world: World, tmp_path: Path
) -> None:
    artifact_id = world.add_artifact("2.0", 5, ArtifactPhase.UPLOADED).artifact_id
    rows = world.artifacts.rows
    await real.orchestrator.start_publication(artifact_id)
    await until(lambda: rows[artifact_id].phase is ArtifactPhase.AWAITING_EVIDENCE)
    assert "An SBOM is required for every Voltworks model" in rows[artifact_id].reason

    await bring(real, blobs, artifact_id, EvidenceKind.SBOM, made.sbom(artifact_id, CVE))
    await until(lambda: CVE in rows[artifact_id].reason)
    assert artifact_id not in world.artifacts.staged_rows

    await bring(real, blobs, artifact_id, EvidenceKind.VEX, made.openvex(CVE, sha256=artifact_id))
    await until(lambda: rows[artifact_id].phase is ArtifactPhase.AWAITING_SIGNATURES)
    summary = rows[artifact_id].piece(EvidenceKind.VSA)
    assert summary is not None
    keys = RecordKeys.in_folder(tmp_path).by_id()
    said = open_summary(blobs.objects[evidence_key(summary.sha256)], artifact_id, keys)
    assert said.passed
    assert {name for name, _ in said.inputs} == {"sbom", "vex", "known-exploited"}
    verdicts = [row.detail["passed"] for row in world.audit.rows if row.action == "evidence.judged"]
    assert verdicts == [False, False, True]


async def test_another_sbom_voids_what_was_signed_over_the_old_one(
    blobs: MemoryBlobs, real: Harness, world: World
) -> None:
    artifact_id = world.add_artifact("2.0", 5, ArtifactPhase.UPLOADED).artifact_id
    rows = world.artifacts.rows
    await real.orchestrator.start_publication(artifact_id)
    await until(lambda: rows[artifact_id].phase is ArtifactPhase.AWAITING_EVIDENCE)
    await bring(real, blobs, artifact_id, EvidenceKind.SBOM, made.sbom(artifact_id))
    await until(lambda: rows[artifact_id].phase is ArtifactPhase.AWAITING_SIGNATURES)
    staged = world.artifacts.staged_rows[artifact_id]
    await real.orchestrator.sign_off(SignOff(artifact_id, staged.sha256, "k1", "00", "ada", START))
    await bring(real, blobs, artifact_id, EvidenceKind.SBOM, made.sbom(artifact_id, components=[]))
    await until(lambda: "the signatures are void" in rows[artifact_id].reason)
    await until(lambda: world.artifacts.staged_rows[artifact_id].sha256 != staged.sha256)
    assert await world.artifacts.sign_offs(artifact_id) == []


@pytest.mark.parametrize("longer_than_any", [False, True])
async def test_a_stored_sbom_that_was_swapped_is_not_staged(
    blobs: MemoryBlobs, real: Harness, world: World, longer_than_any: bool
) -> None:
    artifact_id = world.add_artifact("2.0", 5, ArtifactPhase.UPLOADED).artifact_id
    data = made.sbom(artifact_id)
    piece = EvidenceRef(EvidenceKind.SBOM, sha256_hex(data), len(data), "ann", START)
    world.artifacts.rows[artifact_id] = replace(world.artifacts.rows[artifact_id], evidence=(piece,))
    other = b" " * (MAX_SBOM + 1) if longer_than_any else made.sbom(artifact_id, components=[])
    blobs.objects[evidence_key(piece.sha256)] = other
    await real.orchestrator.start_publication(artifact_id)
    rows = world.artifacts.rows
    await until(lambda: rows[artifact_id].phase is ArtifactPhase.AWAITING_EVIDENCE)
    assert "gone or damaged" in rows[artifact_id].reason
