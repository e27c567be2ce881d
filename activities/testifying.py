"""Signed testimony about one charger, in the signer's process: the receipt of its end."""

from typing import Any, Protocol

from temporalio import activity

from activities.errors import mapped
from activities.stores import Stores
from storage.audit import AuditRow
from storage.codec import to_json
from storage.ports import ChargerView
from storage.retirement import RECEIPT, Retirement, RetirementState, RetirementStore, StepState


class Testifier(Protocol):
    """``signing.testimony.TestimonyDesk``."""

    async def testify(self, kind: str, said: dict[str, Any]) -> str:
        """Sign it and store it for ever; the SHA-256 of the envelope."""


def receipt_of(
    found: Retirement, view: ChargerView, tombstones: dict[str, int], audited: AuditRow | None
) -> dict[str, Any]:
    """What a receipt says. Pure; of secrets only how many there were."""
    charger, security = view.charger, view.twin.security
    unreached = [each.step.value for each in found.steps if each.state is StepState.UNREACHED]
    return {
        "charger": {
            "charger_id": charger.charger_id,
            "vendor": charger.vendor,
            "model": charger.model,
            "serial_number": charger.serial_number,
            "site_id": charger.site_id,
            "certificate_serial": security.certificate_serial if security else None,
        },
        "requested": {
            "by": found.actor,
            "reason": found.reason,
            "at": to_json(found.requested_at),
        },
        "retired_at": to_json(found.finished_at),
        "wiped": found.wiped.value,
        "unreached": unreached,
        "steps": to_json(found.steps),
        "tombstones": tombstones,
        "audit": None if audited is None else {"row": audited.number, "row_hash": audited.row_hash},
    }


class TestimonyActivities:
    """Register on the signer's queue only."""

    __test__ = False
    """No test of pytest's, in spite of its name."""

    def __init__(self, stores: Stores, retirements: RetirementStore, desk: Testifier) -> None:
        self._stores = stores
        self._retirements = retirements
        self._desk = desk

    @activity.defn
    @mapped
    async def sign_receipt(self, charger_id: str) -> str:
        """Sign what became of a retired charger, once; the SHA-256 of the receipt."""
        found = await self._retirements.get(charger_id)
        if found.state is RetirementState.RECEIPTED and found.receipt_sha256:
            return found.receipt_sha256
        view = await self._stores.chargers.get(charger_id)
        stones: dict[str, int] = {}
        for stone in await self._retirements.tombstones(charger_id):
            stones[stone.kind.value] = stones.get(stone.kind.value, 0) + 1
        audited = await self._retirements.burial_row(charger_id)
        sha256 = await self._desk.testify(RECEIPT, receipt_of(found, view, stones, audited))
        await self._retirements.close(charger_id, sha256, self._stores.clock())
        return sha256
