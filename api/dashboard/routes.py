"""The dashboard's pages. Each is readable without scripts; a script refreshes the live part of it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from api.auth import Permission, may
from api.dashboard import views
from api.dashboard.guard import PageContext, PageRoute
from api.dashboard.offers import gate_holds, offers
from api.dashboard.pages import page as _page
from api.dashboard.pages import segment
from api.downtime import TAKES_S, Spent, spent_at, spent_by
from api.errors import problem_of
from api.gate_evidence import MEANINGS, series_of
from api.guard import Caller, Services, permit
from api.replies import Cursor
from api.schemas.common import ChargerId, Sha256, Slug
from api.service import metering_of, trends_of
from api.sse import RETRY, EventStreamResponse, StreamBounds, StreamSeats, pulses
from api.standstill import stops
from api.states import ChargerState, charger_state
from api.targets import target_page
from api.timeline_words import folded
from api.withdrawals import standing
from storage.artifact import Artifact, ArtifactPhase
from storage.campaign import Campaign
from storage.charger import ChargerFilter
from storage.chronicle import Group, question_of
from storage.drift import DriftState
from storage.errors import InvalidInput, NotFound
from storage.ids import campaign_workflow_id
from storage.ownership import MoveState
from storage.ports import ArtifactStore, ChargerStore, ChargerView, EventStore, Page
from storage.query.errors import QueryError, QueryTooBroad
from storage.standing import outcome_rows, stand
from storage.twin_schema import TERMS
from storage.withdrawal import VOTES_TO_RESTORE

router = APIRouter(include_in_schema=False, route_class=PageRoute)

FLEET_PAGE = 1000
ROWS = 100
READ = 400
"""Of a timeline, so many entries are read; heartbeats, most of them, are one row."""
ASKED = 8
"""Of a charger's latest commands and logs, so many are shown."""
CHART_CHARGERS = 5000
"""Above this the chart is left out: a page stays cheap."""
_TIMELINE = question_of([Group.EVENT, Group.ACT])
_BEAT_SECONDS = 1.0
"""Hints come no faster than this."""


@router.get("/")
@permit(Permission.READ)
async def fleet(
    services: Services,
    context: PageContext,
    site_id: Annotated[Slug | None, Query()] = None,
    query: str = "",
    cursor: Cursor = None,
) -> Response:
    """The fleet: numbers, versions, models, and every charger at its site, or those that a query selects."""
    store = services.chargers
    where = ChargerFilter(site_id=site_id, query=query if query.strip() else None)
    counts, found, sites = await asyncio.gather(store.counts(), _found(store, where, cursor), store.sites())
    page, error = found
    answer = _page(
        "fleet.html",
        context,
        tiles=views.fleet_tiles(counts),
        versions=views.share_bar(counts.by_version, counts.total),
        models=views.share_bar(counts.by_model, counts.total),
        rows=views.site_rows(sites, page.items, services.clock()),
        states=list(ChargerState),
        site_id=site_id,
        query=query,
        error=error,
        place=views.place_of(error),
        shown=len(page.items),
        next_cursor=page.next_cursor,
        spent=await _least_left(services, site_id),
        takes=TAKES_S,
    )
    answer.status_code = 200 if error is None else problem_of(error).status
    return answer


async def _least_left(services: Services, site_id: str | None) -> Sequence[Spent]:
    """Of a site that owes uptime, who has the least planned downtime left."""
    site = await services.chargers.site(site_id) if site_id else None
    if site is None or site.rules.uptime_floor is None:
        return ()
    found = await spent_at(services, site.site_id, limit=FLEET_PAGE)
    return sorted(found.items, key=lambda each: (each.account.left, each.charger.charger_id))[:ROWS]


async def _found(
    store: ChargerStore, where: ChargerFilter, cursor: str | None
) -> tuple[Page[ChargerView], InvalidInput | None]:
    """The chargers, or why the query has no answer: the page around it stays."""
    try:
        return await store.find(where, limit=FLEET_PAGE, cursor=cursor), None
    except (QueryError, QueryTooBroad) as error:
        return Page(()), error


@router.get("/campaigns")
@permit(Permission.READ)
async def campaigns(services: Services, context: PageContext, cursor: Cursor = None) -> Response:
    """All campaigns, newest first."""
    page = await services.campaigns.find(limit=50, cursor=cursor)
    return _page("campaigns.html", context, page=page, now=services.clock())


@router.get("/campaigns/{campaign_id}")
@permit(Permission.READ)
async def campaign(
    services: Services,
    caller: Caller,
    context: PageContext,
    campaign_id: Slug,
    wave: Annotated[int | None, Query(ge=0, le=100_000)] = None,
    cursor: Cursor = None,
) -> Response:
    """One campaign: its waves, verdicts, targets, and what the reader may do."""
    store = services.campaigns
    found = await store.get(campaign_id)
    tallies, decisions, exclusions, waiting, artifact, back = await asyncio.gather(
        store.tallies(campaign_id),
        store.decisions(campaign_id),
        store.exclusions(campaign_id),
        store.hindrances(campaign_id),
        services.artifacts.get(found.plan.artifact_id),
        _rollback(services.artifacts, found),
    )
    waves = views.wave_views(tallies, decisions)
    ordered = sorted(decisions, key=lambda each: each.decided_at)
    shown = wave if wave is not None else views.current_wave(waves)
    targets = await target_page(store, campaign_id, shown, ROWS, cursor)
    deadlines = await store.wave_deadlines(campaign_id)
    again = await store.back_again(campaign_id, [each.charger_id for each in targets.items])
    has_chart = found.cohort_size <= CHART_CHARGERS
    groups = await store.outcome_groups(campaign_id) if has_chart else ()
    return _page(
        "campaign.html",
        context,
        campaign=found,
        artifact=artifact,
        back=back,
        stopped_by=await stops(services, found),
        waves=waves,
        legend=views.legend(waves),
        signals=series_of([each.result for each in ordered]),
        meanings=MEANINGS,
        exclusions=exclusions,
        waiting=waiting,
        targets=targets,
        shown=shown,
        wave=wave,
        offers=offers(found, caller, held=gate_holds(ordered, tallies)),
        key=services.new_id(),
        temporal_link=temporal_link(services.temporal_ui_url, services.temporal_namespace, campaign_id),
        codec_url=f"{services.base_url}/codec",
        has_chart=has_chart,
        kinds=outcome_rows(groups, found.phase),
        standings={each.charger_id: stand(found, each, deadlines, again) for each in targets.items},
        now=services.clock(),
    )


async def _rollback(store: ArtifactStore, found: Campaign) -> Artifact | None:
    artifact_id = found.plan.rollback_artifact_id
    return await store.get(artifact_id) if artifact_id else None


def temporal_link(ui_url: str | None, namespace: str, campaign_id: str) -> str | None:
    """Where the Temporal UI shows this campaign, if there is one."""
    if ui_url is None:
        return None
    return (
        f"{ui_url.rstrip('/')}/namespaces/{namespace}/workflows/{segment(campaign_workflow_id(campaign_id))}"
    )


@router.get("/campaigns/{campaign_id}/progress.json")
@permit(Permission.READ)
async def progress(services: Services, campaign_id: Slug) -> Response:
    """The chart's numbers."""
    found = await services.campaigns.get(campaign_id)
    if found.cohort_size > CHART_CHARGERS:
        raise NotFound("chart of campaign", campaign_id)
    targets = await services.campaigns.targets(campaign_id)
    return JSONResponse(views.updated_series(found, targets), headers={"Cache-Control": "no-store"})


@router.get("/artifacts")
@permit(Permission.READ)
async def artifacts(services: Services, context: PageContext, cursor: Cursor = None) -> Response:
    """All artifacts, and who still has to sign which."""
    page = await services.artifacts.find(limit=50, cursor=cursor)
    waiting = [each for each in page.items if each.phase is ArtifactPhase.AWAITING_SIGNATURES]
    signing = await asyncio.gather(*(_signing(services.artifacts, each) for each in waiting))
    return _page("artifacts.html", context, page=page, signing=dict(signing), now=services.clock())


async def _signing(store: ArtifactStore, artifact: Artifact) -> tuple[str, object]:
    staged, signed = await asyncio.gather(
        store.staged(artifact.artifact_id), store.sign_offs(artifact.artifact_id)
    )
    return artifact.artifact_id, {"staged": staged, "signed": signed}


@router.get("/artifacts/{artifact_id}")
@permit(Permission.READ)
async def artifact_page(
    services: Services, caller: Caller, context: PageContext, artifact_id: Sha256
) -> Response:
    """One artifact: what it is for, its proofs, and who signed."""
    found = await services.artifacts.get(artifact_id)
    _, signing = await _signing(services.artifacts, found)
    offered = may(caller, Permission.ARTIFACT_WITHDRAW) and found.phase is ArtifactPhase.RELEASED
    return _page(
        "artifact.html",
        context,
        artifact=found,
        signing=signing,
        may_withdraw=offered,
        withdrawn=await standing(services, found),
        needed=VOTES_TO_RESTORE,
        may_restore=may(caller, Permission.ARTIFACT_RESTORE),
        me=caller.name,
        now=services.clock(),
    )


@router.get("/chargers")
@permit(Permission.READ)
async def find_charger(services: Services, charger_id: Annotated[ChargerId, Query()]) -> Response:
    """Go to the charger that somebody typed."""
    view = await services.chargers.get(charger_id)
    return RedirectResponse(f"/chargers/{segment(view.charger.charger_id)}", 303)


@router.get("/chargers/{charger_id}")
@permit(Permission.READ)
async def charger(
    services: Services, caller: Caller, context: PageContext, charger_id: ChargerId
) -> Response:
    """One charger: its twin, where it drifts, what people asked of it, and its timeline."""
    downloads = await services.downloads.of_charger(charger_id, limit=ASKED)
    moves = await services.registry.moves(charger_id, limit=ROWS)
    metering, trends = await metering_of(services, charger_id), await trends_of(services, charger_id)
    view, timeline, commands, logs, drifts, anomalies = await asyncio.gather(
        services.chargers.get(charger_id),
        services.events.chronicle(charger_id, _TIMELINE, limit=READ),
        services.commands.latest(charger_id, limit=ASKED),
        services.logs.latest(charger_id, limit=ASKED),
        services.twins.drifts(charger_id=charger_id, states=(DriftState.OPEN, DriftState.PENDING)),
        services.twins.anomalies(charger_id, limit=ROWS),
    )
    desired = await services.twins.desired(charger_id)
    spent = await spent_by(services, view.charger)
    now = services.clock()
    return _page(
        "charger.html",
        context,
        view=view,
        state=charger_state(view, now),
        asked=views.asked_rows(commands, logs)[:ASKED],
        drifts=drifts.items,
        anomalies=anomalies,
        downloads=downloads,
        move=next((each for each in moves if each.state is MoveState.DONE), None),
        metering=metering,
        trends=trends,
        spent=spent,
        terms=next((each.desired for each in desired if each.section == TERMS), {}),
        timeline=folded(timeline.items, lambda each: each.kind, ROWS),
        may_passport=may(caller, Permission.AUDIT_READ),
        key=services.new_id(),
        now=now,
    )


@router.get("/live")
@permit(Permission.READ)
async def live(request: Request, services: Services) -> Response:
    """Tells open pages that something changed; they fetch what they show."""
    bounds = StreamBounds(services.limits.stream_seconds, services.limits.page_seconds)
    seats: StreamSeats = request.app.state.seats
    return EventStreamResponse(seats.seated(_hints(services.events, bounds)))


async def _hints(store: EventStore, bounds: StreamBounds) -> AsyncGenerator[bytes, None]:
    """A hint at every change, at most one a second, and one every few seconds for what is no event."""
    yield RETRY
    async with aclosing(pulses(store, bounds)) as beats:
        async for woke in beats:
            yield b"data: changed\n\n" if woke else b"data: tick\n\n"
            await asyncio.sleep(_BEAT_SECONDS)
