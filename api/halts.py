"""Breaking the glass at the door: in force first, everything that can fail or wait after it (S66)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog

from api.acts import audit, entry_of
from api.errors import TicketGone
from api.ports import ApiServices
from api.replies import update_id
from storage.access import Principal
from storage.audit import AuditEntry
from storage.campaign import Campaign, CampaignPhase
from storage.charger import DownloadTicket
from storage.errors import AmpwaveError, EngineUnavailable
from storage.halt import EVERYTHING, Halt, Vote
from storage.incident import IncidentChange, IncidentKind
from storage.withdrawal import artifact_subject

log = structlog.get_logger("halts")

_PATIENCE_S = 10.0
"""What follows a halt may take so long; the halt itself is in force before."""


@dataclass(frozen=True, slots=True)
class Paused:
    """What became of a campaign that was running."""

    campaign_id: str
    paused: bool
    why: str


@dataclass(frozen=True, slots=True)
class HaltActs:
    """What one person does about halts."""

    services: ApiServices
    actor: Principal

    async def halt_everything(self, reason: str) -> tuple[Halt, tuple[Paused, ...]]:
        """No update, no download, no directive and no publication until two people restored it."""
        services = self.services
        halt = await services.halts.pull(EVERYTHING, self.actor.name, reason, services.clock())
        log.error("halted", scope=halt.scope, halt=halt.halt_id, by=halt.actor, reason=halt.reason)
        _, paused = await asyncio.gather(self._record(halt, reason), self._pause(halt))
        return halt, paused

    async def restore(self, halt_id: int, reason: str) -> Halt:
        """One person's word; the second person's lifts it. Campaigns stay paused: people resume them."""
        services, now = self.services, self.services.clock()

        def on_record(halt: Halt) -> AuditEntry:
            action = "halt.restore_voted" if halt.lifted_at is None else "halt.lifted"
            people = [vote.actor for vote in halt.votes]
            return entry_of(self.actor, now, (action, halt.scope), halt=halt_id, reason=reason, votes=people)

        halt = await services.halts.restore(halt_id, Vote(self.actor.name, reason, now), on_record)
        if halt.lifted_at is not None:
            change = IncidentChange(IncidentKind.HALTED, halt.scope, services.clock(), close=True)
            await services.watch.incidents.apply([change])
            log.warning("halt lifted", scope=halt.scope, halt=halt_id, by=[vote.actor for vote in halt.votes])
        return halt

    async def _record(self, halt: Halt, reason: str) -> None:
        """Into the audit log and the list of incidents; what fails here is made up for by record keeping."""
        services = self.services
        change = IncidentChange(IncidentKind.HALTED, halt.scope, halt.at, halt.sentence)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await audit(services, self.actor, "halt.pulled", halt.scope, halt=halt.halt_id, reason=reason)
                await services.halts.mark_recorded(halt.halt_id)
                await services.watch.incidents.apply([change])
        except (AmpwaveError, TimeoutError) as error:
            log.warning("a halt is in force and not on record yet", halt=halt.halt_id, error=str(error))

    async def _pause(self, halt: Halt) -> tuple[Paused, ...]:
        """Campaigns that run stop asking. Nothing is sent either way: every node looks before it sends."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                running = [
                    one async for one in _campaigns(self.services) if one.phase is CampaignPhase.RUNNING
                ]
        except (AmpwaveError, TimeoutError) as error:
            log.warning("campaigns could not be listed", error=str(error))
            return ()
        return tuple(await asyncio.gather(*(self._pause_one(halt, one) for one in running)))

    async def _pause_one(self, halt: Halt, campaign: Campaign) -> Paused:
        once = update_id("pause", self.actor.name, f"halt-{halt.halt_id}")
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self.services.orchestrator.pause(campaign.campaign_id, self.actor.name, once)
        except (AmpwaveError, TimeoutError) as error:
            said = error.message if isinstance(error, AmpwaveError) else "no worker answered in time"
            return Paused(campaign.campaign_id, paused=False, why=f"{said} Nothing is sent all the same.")
        return Paused(campaign.campaign_id, paused=True, why="")


async def refuse_halted(services: ApiServices, ticket: DownloadTicket) -> None:
    """Raise unless its image may be handed out now: nothing of it is withdrawn, nor everything halted."""
    if await services.halts.standing() is not None:
        raise EngineUnavailable("All downloads are halted.", hint="Try again later.")
    if await services.withdrawals.in_force([artifact_subject(ticket.artifact_sha256), *ticket.certificates]):
        raise TicketGone("is for a release that was withdrawn")


async def _campaigns(services: ApiServices) -> AsyncIterator[Campaign]:
    cursor: str | None = None
    while True:
        page = await services.campaigns.find(limit=200, cursor=cursor)
        for campaign in page.items:
            yield campaign
        cursor = page.next_cursor
        if cursor is None:
            return
