"""Judging a release's evidence, in the signer's process."""

from dataclasses import dataclass

from temporalio import activity

from activities.errors import mapped
from activities.stores import Stores
from signing.ports import EvidenceJudge
from storage.evidence import EvidenceKind


@dataclass(frozen=True, slots=True)
class EvidenceFacts:
    """What stands against asking people to sign; empty: nothing does."""

    problems: tuple[str, ...]


class EvidenceActivities:
    """Register on the signer's queue only."""

    def __init__(self, stores: Stores, desk: EvidenceJudge) -> None:
        self._stores = stores
        self._desk = desk

    @activity.defn
    @mapped
    async def judge_evidence(self, artifact_id: str) -> EvidenceFacts:
        """Judge what was brought by the operator's policy; the verdict is signed, stored and on record."""
        artifact = await self._stores.artifacts.get(artifact_id)
        judged = await self._desk.judge(artifact)
        summary, before = judged.summary, artifact.piece(EvidenceKind.VSA)
        if summary is not None and summary != before:
            await self._stores.artifacts.set_evidence(artifact_id, summary)
            await self._stores.record(
                "signer",
                "evidence.judged",
                f"artifact/{artifact_id}",
                passed=judged.judgement.passed,
                problems=list(judged.judgement.problems),
                policy=judged.judgement.policy_sha256,
                inputs=dict(judged.judgement.inputs),
                summary=summary.sha256,
            )
        return EvidenceFacts(judged.judgement.problems)
