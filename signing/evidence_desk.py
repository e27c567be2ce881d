"""The signer's look at a release's evidence: it reads the pieces itself and signs what it found."""

import asyncio
from collections.abc import Callable

from signing.errors import VerificationFailed
from signing.evidence import Pieces, judge
from signing.evidence_policy import EvidencePolicy
from signing.keys import open_signer
from signing.notary import RecordKeys
from signing.ports import Judged, Judgement
from signing.sbom import MAX_SBOM
from signing.vsa import MAX_VSA, open_summary, sign_summary, summary_of
from storage.artifact import Artifact
from storage.canonical import sha256_hex
from storage.clock import Clock
from storage.errors import InvalidInput, NotFound
from storage.evidence import SUPPLIED, EvidenceKind, EvidenceRef, evidence_key
from storage.ports import BlobStore

VERIFIER = "signer"


class EvidenceDesk:
    """``signing.ports.EvidenceJudge``: judges by the operator's policy file, which is read anew each time."""

    def __init__(
        self,
        blobs: BlobStore,
        policy: Callable[[], EvidencePolicy],
        keys: Callable[[], RecordKeys],
        clock: Clock,
    ) -> None:
        self._blobs = blobs
        self._policy = policy
        self._keys = keys
        self._clock = clock

    async def judge(self, artifact: Artifact) -> Judged:
        """The verdict, signed and stored if there is anything to say.

        A summary that says the same already stays, so that what people signed stays signed.
        Raises PolicyUnreadable or KeyUnavailable; both are retried.
        """
        judgement = await self._judgement(artifact)
        if not judgement.inputs and judgement.passed:
            return Judged(judgement, None)
        standing = await self._standing(artifact, judgement)
        return Judged(judgement, standing or await self._sign(artifact, judgement))

    async def require(self, artifact: Artifact) -> None:
        """Raise VerificationFailed unless the evidence holds now; nothing is signed."""
        judgement = await self._judgement(artifact)
        if not judgement.passed:
            raise VerificationFailed(f"The evidence does not hold: {'; '.join(judgement.problems)}.")

    async def _judgement(self, artifact: Artifact) -> Judgement:
        policy = await asyncio.to_thread(self._policy)
        pieces, gone = await self._pieces(artifact)
        made = await asyncio.to_thread(judge, artifact.artifact_id, artifact.compatible, pieces, policy)
        return Judgement((*gone, *made.problems), made.policy_sha256, made.inputs)

    async def _pieces(self, artifact: Artifact) -> tuple[Pieces, list[str]]:
        """By what lies in the bucket, held to its hash."""
        pieces: dict[EvidenceKind, bytes] = {}
        problems = []
        for ref in artifact.evidence:
            if ref.kind not in SUPPLIED:
                continue
            try:
                data, _ = await self._blobs.get(evidence_key(ref.sha256), limit=MAX_SBOM)
            except (NotFound, InvalidInput):  # or longer than any piece: not what was brought
                data = b""
            if sha256_hex(data) == ref.sha256:
                pieces[ref.kind] = data
            else:
                problems.append(f"the stored {ref.kind.value} is gone or damaged: add it again")
        return pieces, problems

    async def _standing(self, artifact: Artifact, judgement: Judgement) -> EvidenceRef | None:
        ref = artifact.piece(EvidenceKind.VSA)
        if ref is None:
            return None
        try:
            document, _ = await self._blobs.get(evidence_key(ref.sha256), limit=MAX_VSA)
            said = open_summary(document, artifact.artifact_id, self._keys().by_id())
        except (NotFound, InvalidInput, VerificationFailed):
            return None
        return ref if said == summary_of(judgement) and sha256_hex(document) == ref.sha256 else None

    async def _sign(self, artifact: Artifact, judgement: Judgement) -> EvidenceRef:
        keys, now = self._keys(), self._clock()
        signer = open_signer(keys.address, [keys.public[0]])
        document = await asyncio.to_thread(
            sign_summary, artifact.artifact_id, artifact.target_path, judgement, now, signer
        )
        sha256 = sha256_hex(document)
        await self._blobs.put_bytes(evidence_key(sha256), document)
        return EvidenceRef(EvidenceKind.VSA, sha256, len(document), VERIFIER, now)
