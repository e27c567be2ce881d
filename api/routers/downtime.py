"""Planned downtime against an uptime obligation: of one charger, of all of a site (X13)."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Permission
from api.downtime import TAKES_S, spent_at, spent_by
from api.guard import GuardedRoute, Services, permit
from api.replies import Cursor, Limit
from api.schemas.common import ChargerId, PageReply, Slug
from api.schemas.downtime import DowntimeReply

router = APIRouter(prefix="/api/v1", tags=["upkeep"], route_class=GuardedRoute)

Takes = Annotated[
    float,
    Query(ge=1, le=366 * 86_400.0, description="Seconds that an update may take: pace.attempt_deadline."),
]


@router.get("/chargers/{charger_id}/downtime")
@permit(Permission.READ)
async def get_downtime(services: Services, charger_id: ChargerId, takes_s: Takes = TAKES_S) -> DowntimeReply:
    """What its uptime obligation allows, what spent it, what is left, and when an update fits."""
    charger = (await services.chargers.get(charger_id)).charger
    return DowntimeReply.of(await spent_by(services, charger), takes_s)


@router.get("/sites/{site_id}/downtime")
@permit(Permission.READ)
async def get_site_downtime(
    services: Services, site_id: Slug, takes_s: Takes = TAKES_S, limit: Limit = 100, cursor: Cursor = None
) -> PageReply[DowntimeReply]:
    """The same of each charger of a site, by its id."""
    page = await spent_at(services, site_id, limit=limit, cursor=cursor)
    items = tuple(DowntimeReply.of(each, takes_s) for each in page.items)
    return PageReply(items=items, next_cursor=page.next_cursor)
