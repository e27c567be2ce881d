"""The end of certificates: on record at once, on any worker, so that no node takes them any more.

What everybody else is told of it is signed by the signer at its next look; a revocation never waits for that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio import activity

from activities.errors import mapped
from activities.retiring import Revoke
from activities.stores import Stores
from storage.certificate import CertificatePhase, CertificateStore, RevocationReason
from storage.errors import NotFound
from storage.retirement import StepState

_ENDED = RevocationReason.CESSATION.value


@dataclass(frozen=True, slots=True)
class RevokeOrder:
    """Take certificates of one charger away; no serials: all of them."""

    charger_id: str
    serials: tuple[str, ...]
    reason: str
    actor: str


class RevocationActivities:
    """On any worker: no key is needed for it."""

    def __init__(self, stores: Stores, certificates: CertificateStore) -> None:
        self._stores = stores
        self._certificates = certificates

    @activity.defn
    @mapped
    async def record_revocation(self, given: RevokeOrder) -> tuple[str, ...]:
        """Take certificates away at once: the record counts at the next handshake. Idempotent."""
        return await taken_away(self._stores, self._certificates, given)


async def taken_away(stores: Stores, certificates: CertificateStore, given: RevokeOrder) -> tuple[str, ...]:
    """The serial numbers that were revoked by it. Raises NotFound for one that the charger never had."""
    found = await certificates.of_charger(given.charger_id)
    missing = set(given.serials) - {each.serial for each in found}
    if missing:
        raise NotFound("certificate", f"{given.charger_id}/{min(missing)}")
    serials = [
        each.serial
        for each in found
        if each.phase is not CertificatePhase.REVOKED and (not given.serials or each.serial in given.serials)
    ]
    await revoke(stores, certificates, given, serials)
    return tuple(serials)


async def revoke(
    stores: Stores, certificates: CertificateStore, given: RevokeOrder, serials: Sequence[str]
) -> None:
    """Said before it is done, so that no death in between hides it."""
    for serial in serials:
        said = {"serial": serial, "reason": given.reason}
        await stores.record(given.actor, "certificate.revoked", f"charger/{given.charger_id}", **said)
        at = stores.clock()
        await certificates.move(given.charger_id, serial, CertificatePhase.REVOKED, at, given.reason)


def revoking(stores: Stores, certificates: CertificateStore) -> Revoke:
    """How a retirement revokes; the signer's next list says it to everybody else."""

    async def end(charger_id: str, reason: str) -> tuple[StepState, str, dict[str, Any]]:
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

    return end
