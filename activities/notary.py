"""Vouching for the audit log, in the signer's process."""

from collections.abc import Sequence

from temporalio import activity

from activities.errors import mapped
from signing.errors import VerificationFailed
from signing.ports import Notary
from storage.audit import AuditRow
from storage.clock import Clock
from storage.incident import IncidentChange, IncidentKind
from storage.ports import AuditLog
from storage.watching import IncidentStore

_SUBJECT = "audit/log"


class NotaryActivities:
    """Register on the signer's queue only."""

    def __init__(self, audit: AuditLog, incidents: IncidentStore, notary: Notary, clock: Clock) -> None:
        self._audit = audit
        self._incidents = incidents
        self._notary = notary
        self._clock = clock

    @activity.defn
    @mapped
    async def checkpoint_audit(self) -> int:
        """Sign the next checkpoint if it is due; the number of the last row it covers, 0: none was due.

        A log that does not follow from the last checkpoint is an incident, open until it follows again.
        """
        try:
            checkpoint = await self._notary.checkpoint(self._rows)
        except VerificationFailed as error:
            await self._alert(error.message, close=False)
            raise
        if checkpoint is None:
            return 0
        await self._alert("", close=True)
        return checkpoint.size

    async def _rows(self, after: int, limit: int) -> Sequence[AuditRow]:
        return await self._audit.rows(after=after, limit=limit)

    async def _alert(self, summary: str, *, close: bool) -> None:
        kind = IncidentKind.AUDIT_BROKEN
        await self._incidents.apply([IncidentChange(kind, _SUBJECT, self._clock(), summary, close=close)])
