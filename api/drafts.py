"""Work whose start was lost: whoever opened a campaign or a job may have died before its workflow began."""

import asyncio
from datetime import timedelta

import structlog

from api.late_joiners import follow_up_all
from api.ports import ApiServices
from storage.campaign import CampaignPhase
from storage.configuration import JobState
from storage.errors import AmpwaveError

ROUND_S = 300.0
_OLD = timedelta(minutes=1)
"""A younger draft is still in the hands of the request that made it."""

_log = structlog.get_logger("drafts")


async def start_old_drafts(services: ApiServices) -> int:
    """Start every draft that is older than a minute; how many there were. Starting twice is harmless.

    Raises EngineUnavailable when the stores or the orchestrator do not answer.
    """
    before, started = services.clock() - _OLD, 0
    cursor: str | None = None
    while True:
        page = await services.campaigns.find(limit=100, cursor=cursor)
        for campaign in page.items:
            if campaign.phase is CampaignPhase.DRAFT and campaign.created_at <= before:
                await services.orchestrator.start_campaign(campaign.campaign_id)
                _log.info("drafts.started", campaign=campaign.campaign_id)
                started += 1
        cursor = page.next_cursor
        if cursor is None:
            return started


async def start_old_jobs(services: ApiServices) -> int:
    """Start every configuration that runs and may never have begun; how many. Harmless for others."""
    before, started = services.clock() - _OLD, 0
    for job in await services.twins.configurations(limit=200):
        if job.state is JobState.RUNNING and job.created_at <= before:
            await services.orchestrator.start_configuration(job.configuration_id)
            started += 1
    return started


async def keep_starting_drafts(services: ApiServices, every_s: float = ROUND_S) -> None:
    """Rounds without end, the first at once."""
    while True:
        try:
            await start_old_drafts(services)
            await start_old_jobs(services)
            await follow_up_all(services)
        except AmpwaveError as error:
            _log.warning("drafts.not_started", why=error.diagnostics())
        except Exception:  # noqa: BLE001 - whatever it was, the next round tries again
            _log.exception("drafts.not_started")
        await asyncio.sleep(every_s)
