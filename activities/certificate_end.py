"""The end of all certificates of a retired charger: on record at once, so that no node takes them."""

from typing import Any

from activities.retiring import Revoke
from activities.stores import Stores
from storage.certificate import CertificatePhase, CertificateStore, RevocationReason
from storage.retirement import StepState

_ENDED = RevocationReason.CESSATION.value


def revoking(stores: Stores, certificates: CertificateStore) -> Revoke:
    """How a retirement revokes; the signer's next list says it to everybody else."""

    async def revoke(charger_id: str, reason: str) -> tuple[StepState, str, dict[str, Any]]:
        found = await certificates.of_charger(charger_id)
        left = [each.serial for each in found if each.phase is not CertificatePhase.REVOKED]
        for serial in left:
            said = {"serial": serial, "reason": _ENDED, "why": reason}
            await stores.record("retirement", "certificate.revoked", f"charger/{charger_id}", **said)
            await certificates.move(charger_id, serial, CertificatePhase.REVOKED, stores.clock(), _ENDED)
        serials = [each.serial for each in found]
        if not serials:
            return StepState.NOTHING, "no certificate of ours was issued to it; its names are refused", {}
        words = f"{len(left)} certificates were revoked, {len(serials) - len(left)} were before"
        return StepState.DONE, words, {"serials": serials}

    return revoke
