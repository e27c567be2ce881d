"""What a plan would come to, and recorded fleets for policies on trial."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Permission
from api.forecasts import ForecastDesk, Wanted
from api.guard import Caller, Services, permit
from api.plan_reading import PlanRoute
from api.schemas.campaigns import PlanBody
from api.schemas.common import Slug
from api.schemas.forecasts import ComparedReply, FleetCharger, FleetReply, ForecastReply, TrackReply

router = APIRouter(prefix="/api/v1", tags=["campaigns"], route_class=PlanRoute)


@router.post("/campaigns/plan/simulate")
@permit(Permission.CAMPAIGN_PLAN)
async def simulate_plan(  # noqa: PLR0913 - each is a query parameter
    services: Services,
    caller: Caller,
    body: PlanBody,
    runs: Annotated[int, Query(ge=1, le=1000)] = 100,
    attempt_minutes: Annotated[float, Query(allow_inf_nan=False, gt=0, le=1440)] = 10.0,
    failure_share: Annotated[float, Query(allow_inf_nan=False, ge=0, lt=1)] = 0.01,
    seed: Annotated[int, Query(ge=0, le=2**31 - 1)] = 7,
) -> ForecastReply:
    """Replay a plan against recorded sessions and connectivity. Kept for the campaign that comes of it."""
    wanted = Wanted(runs, attempt_minutes, failure_share, seed)
    return await ForecastDesk(services, caller).simulate(body.to_noun(), wanted)


@router.get("/campaigns/{campaign_id}/forecast")
@permit(Permission.READ)
async def get_forecast(services: Services, caller: Caller, campaign_id: Slug) -> ComparedReply:
    """What was forecast of a campaign, beside what became of it."""
    return await ForecastDesk(services, caller).compared(campaign_id)


@router.get("/fleet/recording")
@permit(Permission.READ)
async def get_recording(
    services: Services,
    caller: Caller,
    chargers: Annotated[int, Query(ge=20, le=2000)] = 600,
    seed: Annotated[int, Query(ge=0, le=2**31 - 1)] = 7,
) -> FleetReply:
    """Chargers drawn from the fleet with the hours of their signals; `ampwave gate simulate --from-fleet`."""
    count, fleet = await ForecastDesk(services, caller).fleet(chargers, seed)
    return FleetReply(
        weeks=fleet.weeks,
        of=count,
        chargers=tuple(
            FleetCharger(
                name=f"C{place:05}",
                model=one.model,
                hardware=one.hardware,
                site=one.site,
                kind=one.kind,
                tracks={
                    name: TrackReply(
                        hits=tuple(track.hits),
                        cases=None if track.cases is None else tuple(track.cases),
                        per_hour=track.per_hour,
                        once=track.once,
                    )
                    for name, track in one.tracks.items()
                },
            )
            for place, one in enumerate(fleet.chargers)
        ),
    )
