"""What a charger's distrust writes down: its release is withdrawn, for everybody (S38)."""

from activities.stores import Stores
from storage.withdrawal import Source, Withdrawal, artifact_subject


async def distrusted(stores: Stores, artifact_id: str, charger_id: str, said: str) -> None:
    """A charger refused the vendor's signature or certificate, so the release is halted everywhere (S38)."""
    who, subject = f"charger/{charger_id}", artifact_subject(artifact_id)
    row = Withdrawal(subject, said, Source.CHARGER, who, stores.clock())
    if await stores.withdrawals.add([row]):
        await stores.record(
            who, "artifact.withdrawn", f"artifact/{artifact_id}", reason=said, source="charger"
        )
