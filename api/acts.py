"""What people do to campaigns, in one place for the HTTP api and the dashboard: each act happens once.

An act that succeeds is written to the audit log by the workflow that carries it out; one that is refused
leaves no trace there, so it is recorded here.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.auth import Permission, require
from api.errors import Forbidden
from api.once import bind
from api.ports import ApiServices
from api.replies import update_id
from signing.errors import VerificationFailed
from storage.access import Principal
from storage.audit import AuditEntry
from storage.campaign import TERMINAL_CAMPAIGN_PHASES, Approval, Campaign
from storage.errors import Conflict, NotFound
from storage.incident import Closing, Incident, IncidentKind


async def audit(services: ApiServices, actor: Principal, action: str, subject: str, **detail: Any) -> None:
    """Append one act to the audit log, now."""
    await services.audit.append(entry_of(actor, services.clock(), (action, subject), **detail))


def entry_of(actor: Principal, at: datetime, act: tuple[str, str], **detail: Any) -> AuditEntry:
    """One act (what was done, and to what) as the audit log takes it."""
    return AuditEntry(at, actor.name, *act, {"role": actor.role.value, **detail})


async def close_incident(services: ApiServices, actor: Principal, incident_id: int, reason: str) -> Incident:
    """End an incident by hand, audited. Raises NotFound, Conflict (it is closed), Forbidden."""
    known = await services.watch.incidents.get(incident_id)
    if known.kind is IncidentKind.SUSPECTED_INTRUSION:
        require(actor, Permission.TWIN_CONTROL)
    closing = Closing(incident_id, actor.name, reason, services.clock())
    return await services.watch.incidents.end(closing)


@dataclass(frozen=True, slots=True)
class CampaignActs:
    """The acts of one person on one campaign. ``key`` makes a repeated act happen once; None: none was given.

    Every method raises NotFound for no such campaign or charger in it, Conflict where its state forbids the
    act, and KeyReused where the key came with another request before.
    """

    services: ApiServices
    actor: Principal
    campaign_id: str
    key: str | None

    async def approve(self, plan_digest: str, evidence: str = "") -> None:
        """A yes to exactly this plan and cohort, signed where the signed policy asks for that.

        Raises ApprovalRefused when it could not count.
        """
        approval = Approval(self.actor.name, self.services.clock(), plan_digest, evidence)
        if self.services.check_approval is not None:
            campaign = await self.services.campaigns.get(self.campaign_id)
            await self._checked("approve", self.services.check_approval(campaign, approval))
        # A signature is another one each time; what was agreed to is the same.
        once = await self.once("approve", plan_digest)
        await self._do("approve", self.services.orchestrator.approve(self.campaign_id, approval, once))

    async def pause(self) -> None:
        """Start nothing new."""
        once = await self.once("pause")
        await self._do("pause", self.services.orchestrator.pause(self.campaign_id, self.actor.name, once))

    async def resume(self) -> None:
        """Go on after a pause."""
        once = await self.once("resume")
        await self._do("resume", self.services.orchestrator.resume(self.campaign_id, self.actor.name, once))

    async def abort(self, reason: str, *, rollback: bool) -> None:
        """Stop for good, and take updated chargers back if asked.

        Raises Forbidden where taking them back is asked by somebody who may only stop.
        """
        if rollback:
            await self._must(Permission.CAMPAIGN_ROLLBACK, "abort")
        once = await self.once("abort", rollback, reason)
        await self._do(
            "abort",
            self.services.orchestrator.abort(
                self.campaign_id,
                self.actor.name,
                reason,
                rollback=rollback,
                update_id=once,
            ),
        )

    async def proceed(self, reason: str) -> None:
        """Decide a held gate by hand."""
        once = await self.once("proceed", reason)
        await self._do(
            "proceed",
            self.services.orchestrator.proceed(self.campaign_id, self.actor.name, reason, once),
        )

    async def extend(self, ends_at: datetime, reason: str) -> None:
        """Give it a later end."""
        once = await self.once("extend", ends_at, reason)
        await self._do(
            "extend",
            self.services.orchestrator.extend(self.campaign_id, ends_at, self.actor.name, reason, once),
        )

    async def skip(self, charger_id: str, reason: str) -> None:
        """Take one charger out."""
        once = await self.once("skip", charger_id, reason)
        await self._do(
            "skip",
            self.services.orchestrator.skip_charger(
                self.campaign_id, charger_id, self.actor.name, reason, once
            ),
        )

    async def recall(self, charger_id: str, reason: str) -> None:
        """Take one charger out, also while its update is under way."""
        once = await self.once("recall", charger_id, reason)
        await self._do(
            "recall",
            self.services.orchestrator.recall_charger(
                self.campaign_id, charger_id, self.actor.name, reason, once
            ),
        )

    async def _do(self, verb: str, act: Awaitable[None]) -> None:
        try:
            await act
        except (Conflict, NotFound) as error:
            # A workflow that is not there and a state that forbids it look alike: tell them apart.
            campaign = await self.services.campaigns.get(self.campaign_id)
            told = _over(campaign) if campaign.phase in TERMINAL_CAMPAIGN_PHASES else error
            subject, why = f"campaign/{self.campaign_id}", told.diagnostics()
            await audit(self.services, self.actor, f"campaign.{verb}_refused", subject, why=why)
            raise told from error

    async def _checked(self, verb: str, check: Awaitable[None]) -> None:
        try:
            await check
        except VerificationFailed as error:
            subject, why = f"campaign/{self.campaign_id}", error.diagnostics()
            await audit(self.services, self.actor, f"campaign.{verb}_refused", subject, why=why)
            raise

    async def _must(self, permission: Permission, verb: str) -> None:
        try:
            require(self.actor, permission)
        except Forbidden as error:
            subject, why = f"campaign/{self.campaign_id}", error.diagnostics()
            await audit(self.services, self.actor, f"campaign.{verb}_refused", subject, why=why)
            raise

    async def once(self, verb: str, *asked: Any) -> str:
        """The id under which this act happens once. Raises KeyReused if the key came with another request."""
        if self.key is None:
            return self.services.new_id()
        once = update_id(verb, self.actor.name, self.key)
        await bind(self.services, f"campaign/{self.campaign_id}/{once}", *asked)
        return once


def _over(campaign: Campaign) -> Conflict:
    return Conflict(
        f"Campaign {campaign.campaign_id} is over: {campaign.phase.value.replace('_', ' ')}. "
        "Nothing in it can be changed any more.",
        hint="What became of its chargers: ampwave campaign show. For more, create another.",
    )
