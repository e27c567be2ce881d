"""Evidence at the door: held to its own form and to its image before anything is stored (S49 to S51)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from api.acts import audit
from api.ports import ApiServices
from signing import provenance, vex
from signing.sbom import read_sbom
from storage.access import Principal
from storage.artifact import EVIDENCE_OPEN, Artifact
from storage.canonical import sha256_hex
from storage.errors import AmpwaveError, Conflict
from storage.evidence import EvidenceKind, EvidenceRef, evidence_key

_CHECKS: dict[EvidenceKind, Callable[[bytes, str], object]] = {
    EvidenceKind.SBOM: read_sbom,
    EvidenceKind.PROVENANCE: provenance.check_shape,
    EvidenceKind.VEX: vex.check_shape,
}


@dataclass(frozen=True, slots=True)
class EvidenceActs:
    """What one person does about the evidence of one artifact."""

    services: ApiServices
    actor: Principal
    artifact_id: str

    async def add(self, kind: EvidenceKind, data: bytes) -> Artifact:
        """Take a piece in place of the one before. A refusal is recorded and raised, and nothing is stored.

        Whether its signature counts is judged by the signer, who alone knows whom the operator trusts.
        """
        services = self.services
        artifact = await services.artifacts.get(self.artifact_id)
        try:
            if artifact.phase not in EVIDENCE_OPEN:
                raise Conflict(
                    f"The artifact is {artifact.phase.value}, so its evidence stays as it is.",
                    hint="Evidence is part of what people sign: bring it with the next version.",
                )
            await asyncio.to_thread(_CHECKS[kind], data, self.artifact_id)
        except AmpwaveError as error:
            await self._note("evidence.refused", kind, why=error.diagnostics()[:2000])
            raise
        piece = EvidenceRef(kind, sha256_hex(data), len(data), self.actor.name, services.clock())
        # The bytes first, by their hash: a row never points to what is not there.
        await services.blobs.put_bytes(evidence_key(piece.sha256), data)
        changed = await services.artifacts.set_evidence(self.artifact_id, piece)
        await self._note("evidence.added", kind, sha256=piece.sha256)
        await services.orchestrator.evidence_changed(self.artifact_id)
        return changed

    async def remove(self, kind: EvidenceKind) -> Artifact:
        """Take a piece away; the audit log keeps its hash, the bucket its bytes."""
        changed = await self.services.artifacts.remove_evidence(self.artifact_id, kind)
        await self._note("evidence.removed", kind)
        await self.services.orchestrator.evidence_changed(self.artifact_id)
        return changed

    async def _note(self, action: str, kind: EvidenceKind, **detail: str) -> None:
        subject = f"artifact/{self.artifact_id}"
        await audit(self.services, self.actor, action, subject, kind=kind.value, **detail)
