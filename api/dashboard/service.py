"""How the fleet served, as a page: by site and by firmware version."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.auth import Permission
from api.dashboard.guard import PageContext, PageRoute
from api.dashboard.pages import page
from api.guard import Services, permit
from api.service import DAYS, MOST_DAYS, served
from storage.service import GroupBy

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/service")
@permit(Permission.READ)
async def service(
    services: Services, context: PageContext, days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = DAYS
) -> Response:
    """Uptime, utilisation, faults and time to repair."""
    sites, versions = [await served(services, by, days) for by in (GroupBy.SITE, GroupBy.VERSION)]
    parts = (("Site", sites[1]), ("Firmware version", versions[1]))
    return page("service.html", context, parts=parts, report=sites[0], days=days, now=services.clock())
