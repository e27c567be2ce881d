"""Service: uptime by site or version, a charger's days, its meters and its trends."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Permission
from api.guard import GuardedRoute, Services, permit
from api.schemas.common import ChargerId, PageReply
from api.schemas.service import (
    FeatureReply,
    MeteringReply,
    ServiceDayReply,
    ServiceReply,
    TrendsReply,
)
from api.service import DAYS, MOST_DAYS, days_of, metering_of, served, trends_of
from storage.service import GroupBy

router = APIRouter(prefix="/api/v1", tags=["service"], route_class=GuardedRoute)

Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="So many, today among them; UTC.")]
_Which = Annotated[
    str | None,
    Query(description="In the query language over twins, docs/QUERY.md.", examples=["site = harbour-north"]),
]


@router.get("/service")
@permit(Permission.READ)
async def get_service(
    services: Services, by: GroupBy = GroupBy.SITE, days: Days = DAYS, query: _Which = None
) -> ServiceReply:
    """How chargers served, by site, firmware version, model, operator or charger.

    Planned absence (updates, restarts and availability that we asked for) is maintenance and no failure; time
    of which nothing is known is neither. A charger counts at the site where it is now.
    """
    report, groups = await served(services, by, days, query)
    return ServiceReply.of(by, report, groups)


@router.get("/chargers/{charger_id}/service")
@permit(Permission.READ)
async def get_service_days(
    services: Services, charger_id: ChargerId, days: Days = DAYS
) -> PageReply[ServiceDayReply]:
    """One charger day by day, oldest first; days of which nothing is known are left out."""
    await services.chargers.get(charger_id)
    found = await days_of(services, charger_id, days)
    return PageReply(items=tuple(ServiceDayReply.of(*each) for each in found))


@router.get("/chargers/{charger_id}/metering")
@permit(Permission.READ)
async def get_metering(services: Services, charger_id: ChargerId) -> MeteringReply:
    """What its meters said last, and what it delivered."""
    await services.chargers.get(charger_id)
    return MeteringReply.of(charger_id, await metering_of(services, charger_id))


@router.get("/chargers/{charger_id}/trends")
@permit(Permission.READ)
async def get_trends(services: Services, charger_id: ChargerId) -> TrendsReply:
    """Reconnects, faults and temperature of its last days against those before, and whether that is odd."""
    await services.chargers.get(charger_id)
    found = await trends_of(services, charger_id)
    features = tuple(FeatureReply.model_validate(each) for each in found.features)
    return TrendsReply(charger_id=charger_id, flag=found.flag, features=features)
