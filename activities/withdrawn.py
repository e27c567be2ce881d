"""Withdrawals in the step that sends: looked up for each charger, and written where a charger distrusts."""

from collections.abc import Sequence

from activities.stores import Stores
from signing.ports import VerifiedDispatch
from storage.artifact import ArtifactPhase
from storage.audit import AuditEntry
from storage.withdrawal import Source, Withdrawal, artifact_subject


def subjects_of(proof: VerifiedDispatch) -> tuple[str, ...]:
    """What must not be withdrawn: the image, and the certificate it is sent with."""
    return artifact_subject(proof.directive.sha256), *proof.certificate_subjects


async def withdrawn_by(stores: Stores, proof: VerifiedDispatch) -> str | None:
    """Why nothing of it is sent any more, also in the middle of a wave (S36, S66); None: it may be."""
    found = await stores.withdrawals.in_force(subjects_of(proof))
    return found[0].sentence() if found else None


async def distrusted(stores: Stores, artifact_id: str, charger_id: str, said: str) -> None:
    """A charger refused the vendor's signature or certificate, so the release is halted everywhere (S38)."""
    who = f"charger/{charger_id}"
    row = Withdrawal(artifact_subject(artifact_id), said, Source.CHARGER, who, stores.clock())

    def on_record(_: Sequence[str]) -> AuditEntry:
        detail = {"reason": said, "source": row.source.value}
        return AuditEntry(row.withdrawn_at, who, "artifact.withdrawn", f"artifact/{artifact_id}", detail)

    if await stores.withdrawals.add([row], on_record):
        await stores.artifacts.set_phase(artifact_id, ArtifactPhase.REVOKED, f"{charger_id}: {said}")
