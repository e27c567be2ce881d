"""The end of all certificates of a charger that is retired: on record at once, so no node takes them any more."""

from typing import Any

from activities.retiring import Revoke
from activities.stores import Stores
from storage.certificate import CertificatePhase, CertificateStore, RevocationReason
from storage.retirement import StepState


def revoking(stores: Stores, certificates: CertificateStore) -> Revoke:
    """How a retirement revokes; the signer's next list says it to everybody else."""

    async def revoke(charger_id: str, reason: str) -> tuple[StepState, str, dict[str, Any]]:
        found = await certificates.of_charger(charger_id)
        left = [each.serial for each in found if each.phase is not CertificatePhase.REVOKED]
        for serial in left:
            word = RevocationReason.CESSATION.value
            await stores.record(
                "retirement",
                "certificate.revoked",
                f"charger/{charger_id}",
                serial=serial,
                reason=word,
                why=reason,
            )
            await certificates.move(charger_id, serial, CertificatePhase.REVOKED, stores.clock(), word)
        serials = [each.serial for each in found]
        if not serials:
            return StepState.NOTHING, "no certificate of ours was issued to it; its names are refused", {}
        said = f"{len(left)} certificates were revoked, {len(serials) - len(left)} were before"
        return StepState.DONE, said, {"serials": serials}

    return revoke
