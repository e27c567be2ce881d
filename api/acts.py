"""What people do to campaigns, in one place for the HTTP api and the dashboard: act once, then record it."""

from dataclasses import dataclass
from typing import Any

from api.ports import ApiServices
from api.replies import update_id
from storage.access import Principal
from storage.audit import AuditEntry
from storage.campaign import Approval


async def audit(services: ApiServices, actor: Principal, action: str, subject: str, **detail: Any) -> None:
    """Append one act to the audit log, now."""
    entry = AuditEntry(services.clock(), actor.name, action, subject, {"role": actor.role.value, **detail})
    await services.audit.append(entry)


@dataclass(frozen=True, slots=True)
class CampaignActs:
    """The acts of one person on one campaign. ``key`` makes a repeated act happen once.

    Every method raises NotFound for no such campaign and Conflict where its state forbids the act.
    """

    services: ApiServices
    actor: Principal
    campaign_id: str
    key: str

    async def approve(self, plan_digest: str) -> None:
        """A yes to exactly this plan and cohort."""
        await self._exists()
        approval = Approval(self.actor.name, self.services.clock(), plan_digest)
        await self.services.orchestrator.approve(self.campaign_id, approval, self._once("approve"))
        await self._record("approved", plan_digest=plan_digest)

    async def pause(self) -> None:
        """Start nothing new."""
        await self._exists()
        await self.services.orchestrator.pause(self.campaign_id, self.actor.name, self._once("pause"))
        await self._record("paused")

    async def resume(self) -> None:
        """Go on after a pause."""
        await self._exists()
        await self.services.orchestrator.resume(self.campaign_id, self.actor.name, self._once("resume"))
        await self._record("resumed")

    async def abort(self, reason: str, *, rollback: bool) -> None:
        """Stop for good, and take updated chargers back if asked."""
        await self._exists()
        await self.services.orchestrator.abort(
            self.campaign_id, self.actor.name, reason, rollback=rollback, update_id=self._once("abort")
        )
        await self._record("aborted", reason=reason, rollback=rollback)

    async def proceed(self, reason: str) -> None:
        """Decide a held gate by hand."""
        await self._exists()
        await self.services.orchestrator.proceed(
            self.campaign_id, self.actor.name, reason, self._once("proceed")
        )
        await self._record("proceeded", reason=reason)

    async def skip(self, charger_id: str, reason: str) -> None:
        """Take one charger out."""
        await self._exists()
        await self.services.orchestrator.skip_charger(
            self.campaign_id, charger_id, self.actor.name, reason, self._once("skip")
        )
        await self._record("charger_skipped", charger_id=charger_id, reason=reason)

    async def _exists(self) -> None:
        await self.services.campaigns.get(self.campaign_id)

    def _once(self, verb: str) -> str:
        return update_id(verb, self.actor.name, self.key)

    async def _record(self, what: str, **detail: Any) -> None:
        await audit(self.services, self.actor, f"campaign.{what}", self.campaign_id, **detail)
