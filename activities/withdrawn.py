"""What a charger's distrust writes down: its release is withdrawn, for everybody (S38)."""

from activities.stores import Stores
from storage.artifact import ArtifactPhase
from storage.withdrawal import Source, Withdrawal, artifact_subject


async def distrusted(stores: Stores, artifact_id: str, charger_id: str, said: str) -> None:
    """A charger refused the vendor's signature or certificate, so the release is halted everywhere."""
    who = f"charger/{charger_id}"
    row = Withdrawal(artifact_subject(artifact_id), said, Source.CHARGER, who, stores.clock())
    if await stores.withdrawals.add([row]):
        subject = f"artifact/{artifact_id}"
        await stores.record(who, "artifact.withdrawn", subject, reason=said, source=row.source.value)
        await stores.artifacts.set_phase(artifact_id, ArtifactPhase.REVOKED, f"{charger_id}: {said}")
