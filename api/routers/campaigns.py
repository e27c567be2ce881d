"""Campaigns: plan, create, look, and what people do to them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.acts import CampaignActs
from api.auth import Permission
from api.cohort import CampaignDesk
from api.guard import Caller, Services, permit
from api.late_joiners import follow_up
from api.plan_preview import planned_page, preview_reply
from api.plan_reading import PlanRoute
from api.ports import ApiServices
from api.replies import NOT_MODIFIED, Cursor, IdempotencyKey, Limit, tagged_reply
from api.schemas.campaign_acts import (
    AbortBody,
    ApproveBody,
    ExtendBody,
    ReasonBody,
    SkipBody,
    SliceBody,
    SliceReply,
)
from api.schemas.campaigns import (
    CampaignReply,
    CampaignSummary,
    DecisionReply,
    DirectiveReply,
    FollowUpReply,
    PlanBody,
    StopReply,
    TargetReply,
)
from api.schemas.common import PageReply, Slug
from api.schemas.previews import PlannedPage, PreviewReply
from api.schemas.standings import OutcomeReply, StandingReply
from api.slices import skip_slice
from api.standstill import stops
from api.targets import target_page
from storage.access import Principal
from storage.campaign import Exclusion
from storage.errors import NotFound
from storage.standing import outcome_rows, stand

router = APIRouter(prefix="/api/v1/campaigns", tags=["campaigns"], route_class=PlanRoute)


@router.post("/plan")
@permit(Permission.CAMPAIGN_PLAN)
async def plan_campaign(services: Services, caller: Caller, body: PlanBody) -> PreviewReply:
    """Preview exactly who would be updated in which wave, who is left out and why. Stores nothing."""
    plan = body.to_noun()
    return preview_reply(plan, await CampaignDesk(services, caller).preview(plan))


@router.post("/plan/chargers")
@permit(Permission.CAMPAIGN_PLAN)
async def plan_chargers(
    services: Services, caller: Caller, body: PlanBody, limit: Limit = 100, cursor: Cursor = None
) -> PlannedPage:
    """A preview charger by charger, by id: its wave and earliest time, or why it is left out."""
    plan = body.to_noun()
    return planned_page(plan, await CampaignDesk(services, caller).preview(plan), limit, cursor)


@router.post("", status_code=201)
@permit(Permission.CAMPAIGN_CREATE)
async def create_campaign(
    response: Response, services: Services, caller: Caller, body: PlanBody, key: IdempotencyKey = None
) -> CampaignReply:
    """Freeze the cohort and wait for approvals. With an Idempotency-Key a repeat returns the first one."""
    campaign = await CampaignDesk(services, caller).create(body.to_noun(), key)
    response.headers["Location"] = f"/api/v1/campaigns/{campaign.campaign_id}"
    return await _whole(services, campaign.campaign_id)


@router.get("")
@permit(Permission.READ)
async def list_campaigns(
    services: Services, limit: Limit = 100, cursor: Cursor = None
) -> PageReply[CampaignSummary]:
    """Newest first."""
    page = await services.campaigns.find(limit=limit, cursor=cursor)
    items = tuple(CampaignSummary.of(campaign) for campaign in page.items)
    return PageReply(items=items, next_cursor=page.next_cursor)


@router.get("/{campaign_id}", response_model=CampaignReply, responses=NOT_MODIFIED)
@permit(Permission.READ)
async def get_campaign(request: Request, services: Services, campaign_id: Slug) -> Response:
    """One campaign: phase, reason, plan, approvals, and each wave in numbers."""
    return tagged_reply(request, await _whole(services, campaign_id))


@router.get("/{campaign_id}/targets")
@permit(Permission.READ)
async def list_targets(
    services: Services,
    campaign_id: Slug,
    wave: Annotated[int | None, Query(ge=0, le=100_000)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> PageReply[TargetReply]:
    """Every targeted charger in exactly one named state, with its reason."""
    await services.campaigns.get(campaign_id)
    page = await target_page(services.campaigns, campaign_id, wave, limit, cursor)
    items = tuple(TargetReply.model_validate(target) for target in page.items)
    return PageReply(items=items, next_cursor=page.next_cursor)


@router.get("/{campaign_id}/chargers")
@permit(Permission.READ)
async def list_standings(
    services: Services, campaign_id: Slug, limit: Limit = 100, cursor: Cursor = None
) -> PageReply[StandingReply]:
    """Every charger once, in its one named state, with reason, deadline and next action."""
    campaign = await services.campaigns.get(campaign_id)
    deadlines = await services.campaigns.wave_deadlines(campaign_id)
    page = await services.campaigns.latest_targets(campaign_id, limit=limit, cursor=cursor)
    back = await services.campaigns.back_again(campaign_id, [each.charger_id for each in page.items])
    items = tuple(StandingReply.of(stand(campaign, target, deadlines, back)) for target in page.items)
    return PageReply(items=items, next_cursor=page.next_cursor)


@router.get("/{campaign_id}/outcomes")
@permit(Permission.READ)
async def list_outcomes(services: Services, campaign_id: Slug) -> PageReply[OutcomeReply]:
    """Where its chargers stand by OCPP version, vendor and model; never one number for all."""
    campaign = await services.campaigns.get(campaign_id)
    rows = outcome_rows(await services.campaigns.outcome_groups(campaign_id), campaign.phase)
    return PageReply(items=tuple(OutcomeReply.model_validate(row) for row in rows), next_cursor=None)


@router.get("/{campaign_id}/decisions")
@permit(Permission.READ)
async def list_decisions(services: Services, campaign_id: Slug) -> PageReply[DecisionReply]:
    """Every verdict with the inputs that it can be recomputed from."""
    await services.campaigns.get(campaign_id)
    decisions = await services.campaigns.decisions(campaign_id)
    return PageReply(items=tuple(DecisionReply.of(each) for each in decisions), next_cursor=None)


@router.get("/{campaign_id}/directives/{wave}/{shard}")
@permit(Permission.READ)
async def get_directive(
    services: Services,
    campaign_id: Slug,
    wave: Annotated[int, Path(ge=0, le=100_000)],
    shard: Annotated[int, Path(ge=0, le=100_000)],
) -> DirectiveReply:
    """The newest signed directive of a shard; `ampwave tuf verify --directive` proves it."""
    await services.campaigns.get(campaign_id)
    found = await services.campaigns.directive(campaign_id, wave, shard)
    if found is None:
        raise NotFound(
            "directive", f"{campaign_id}/{wave}/{shard}", hint="It is signed when its wave begins."
        )
    return DirectiveReply.of(found)


def _acts(services: ApiServices, caller: Principal, campaign_id: str, key: str | None) -> CampaignActs:
    return CampaignActs(services, caller, campaign_id, key)


def _accepted(response: Response, campaign_id: str) -> None:
    response.headers["Location"] = f"/api/v1/campaigns/{campaign_id}"


@router.post("/{campaign_id}/approve", status_code=202)
@permit(Permission.CAMPAIGN_APPROVE)
async def approve_campaign(
    response: Response,
    services: Services,
    caller: Caller,
    campaign_id: Slug,
    body: ApproveBody,
    key: IdempotencyKey = None,
) -> CampaignReply:
    """Say yes to exactly this plan and cohort. Whoever made a plan with two approvals cannot give both."""
    await _acts(services, caller, campaign_id, key).approve(body.plan_digest, body.evidence)
    _accepted(response, campaign_id)
    return await _whole(services, campaign_id)


@router.post("/{campaign_id}/pause", status_code=202)
@permit(Permission.CAMPAIGN_PAUSE)
async def pause_campaign(
    response: Response, services: Services, caller: Caller, campaign_id: Slug, key: IdempotencyKey = None
) -> CampaignReply:
    """Start nothing new; what was sent already runs to its end."""
    await _acts(services, caller, campaign_id, key).pause()
    _accepted(response, campaign_id)
    return await _whole(services, campaign_id)


@router.post("/{campaign_id}/resume", status_code=202)
@permit(Permission.CAMPAIGN_RESUME)
async def resume_campaign(
    response: Response, services: Services, caller: Caller, campaign_id: Slug, key: IdempotencyKey = None
) -> CampaignReply:
    """Go on after a pause. While everything is halted nothing is sent all the same: `stopped_by`."""
    await _acts(services, caller, campaign_id, key).resume()
    _accepted(response, campaign_id)
    return await _whole(services, campaign_id)


@router.post("/{campaign_id}/abort", status_code=202)
@permit(Permission.CAMPAIGN_ABORT)
async def abort_campaign(
    response: Response,
    services: Services,
    caller: Caller,
    campaign_id: Slug,
    body: AbortBody,
    key: IdempotencyKey = None,
) -> CampaignReply:
    """Stop for good, and take updated chargers back if asked: that needs campaign.rollback as well."""
    await _acts(services, caller, campaign_id, key).abort(body.reason, rollback=body.rollback)
    _accepted(response, campaign_id)
    return await _whole(services, campaign_id)


@router.post("/{campaign_id}/proceed", status_code=202)
@permit(Permission.CAMPAIGN_PROCEED)
async def proceed_campaign(
    response: Response,
    services: Services,
    caller: Caller,
    campaign_id: Slug,
    body: ReasonBody,
    key: IdempotencyKey = None,
) -> CampaignReply:
    """Decide a held gate, or let a wave that needs approval begin."""
    await _acts(services, caller, campaign_id, key).proceed(body.reason)
    _accepted(response, campaign_id)
    return await _whole(services, campaign_id)


@router.post("/{campaign_id}/extend", status_code=202)
@permit(Permission.CAMPAIGN_EXTEND)
async def extend_campaign(
    response: Response,
    services: Services,
    caller: Caller,
    campaign_id: Slug,
    body: ExtendBody,
    key: IdempotencyKey = None,
) -> CampaignReply:
    """Give it a later end. Whoever wrote its plan cannot; one that its end had paused is resumed by hand."""
    await _acts(services, caller, campaign_id, key).extend(body.ends_at, body.reason)
    _accepted(response, campaign_id)
    return await _whole(services, campaign_id)


@router.post("/{campaign_id}/follow-up", status_code=201)
@permit(Permission.CAMPAIGN_CREATE)
async def follow_up_campaign(
    response: Response, services: Services, caller: Caller, campaign_id: Slug
) -> FollowUpReply:
    """Open a campaign for chargers that match since this one froze its cohort: same plan, new approvals.

    Its `warnings` say what of the first plan does not fit any more and is left out.
    """
    opened = await follow_up(services, campaign_id, caller)
    own = opened.campaign.campaign_id
    _accepted(response, own)
    return FollowUpReply(**dict(await _whole(services, own)), warnings=opened.warnings)


@router.post("/{campaign_id}/skip", status_code=202)
@permit(Permission.CAMPAIGN_SKIP)
async def skip_charger(
    response: Response,
    services: Services,
    caller: Caller,
    campaign_id: Slug,
    body: SkipBody,
    key: IdempotencyKey = None,
) -> CampaignReply:
    """Take one charger out of the campaign."""
    await _acts(services, caller, campaign_id, key).skip(body.charger_id, body.reason)
    _accepted(response, campaign_id)
    return await _whole(services, campaign_id)


@router.post("/{campaign_id}/recall", status_code=202)
@permit(Permission.CAMPAIGN_SKIP)
async def recall_charger(
    response: Response,
    services: Services,
    caller: Caller,
    campaign_id: Slug,
    body: SkipBody,
    key: IdempotencyKey = None,
) -> CampaignReply:
    """Take one charger out, also while its update is under way; refused once it installs.

    Its download is cut off, and it is told to stop where its OCPP has a word for that. It counts neither as
    success nor as failure, unless an attempt before had failed, or it goes on all the same.
    """
    await _acts(services, caller, campaign_id, key).recall(body.charger_id, body.reason)
    _accepted(response, campaign_id)
    return await _whole(services, campaign_id)


@router.post("/{campaign_id}/skip-matching")
@permit(Permission.CAMPAIGN_SKIP)
async def skip_matching(
    services: Services,
    caller: Caller,
    campaign_id: Slug,
    body: SliceBody,
    key: IdempotencyKey = None,
) -> SliceReply:
    """Take a slice of the fleet out of the campaign: who matches now and was sent nothing yet."""
    acts = _acts(services, caller, campaign_id, key)
    return SliceReply.model_validate(await skip_slice(acts, body.query, body.reason))


async def _whole(services: ApiServices, campaign_id: str) -> CampaignReply:
    campaign = await services.campaigns.get(campaign_id)
    tallies = await services.campaigns.tallies(campaign_id)
    excluded = await services.campaigns.exclusions(campaign_id)
    waiting = await services.campaigns.hindrances(campaign_id)
    whole = CampaignReply.whole(campaign, tallies, [Exclusion(*pair) for pair in excluded], waiting)
    found = await stops(services, campaign)
    return whole.model_copy(update={"stopped_by": tuple(map(StopReply.model_validate, found))})
