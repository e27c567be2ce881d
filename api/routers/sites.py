"""Sites and the fleet in numbers."""

from zoneinfo import available_timezones

from fastapi import APIRouter, Response

from api.acts import audit
from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.schemas.chargers import FleetReply, SiteBody
from api.schemas.common import PageReply
from storage.errors import InvalidInput, NotFound

router = APIRouter(prefix="/api/v1", tags=["fleet"], route_class=GuardedRoute)


@router.get("/fleet")
@permit(Permission.READ)
async def get_fleet(services: Services) -> FleetReply:
    """The fleet in numbers."""
    return FleetReply.model_validate(await services.chargers.counts())


@router.get("/sites")
@permit(Permission.READ)
async def list_sites(services: Services) -> PageReply[SiteBody]:
    """All sites."""
    sites = await services.chargers.sites()
    return PageReply(items=tuple(SiteBody.model_validate(site) for site in sites), next_cursor=None)


@router.post("/sites", status_code=201)
@permit(Permission.FLEET_WRITE)
async def put_site(response: Response, services: Services, caller: Caller, body: SiteBody) -> SiteBody:
    """Create a site, or change its name, time zone or budget."""
    if body.time_zone not in available_timezones():
        raise InvalidInput(
            "The site was not stored.", [f"time_zone: {body.time_zone!r} is not an IANA time zone"]
        )
    if controller := body.rules.local_controller:
        await _at(services, controller, body.site_id)
    await services.chargers.put_site(body.to_noun())
    told = {"rules": rules} if (rules := body.rules.model_dump(exclude_defaults=True)) else {}
    await audit(services, caller, "site.stored", f"site/{body.site_id}", max_down=body.max_down, **told)
    response.headers["Location"] = "/api/v1/sites"
    return body


async def _at(services: Services, controller: str, site_id: str) -> None:
    """A controller is a charger of the very site, by its own identity and credential."""
    problem = f"local_controller: {controller!r} is no charger of {site_id}: register it there first"
    try:
        found = await services.chargers.get(controller)
    except NotFound:
        raise InvalidInput("The site was not stored.", [problem]) from None
    if found.charger.site_id != site_id:
        raise InvalidInput("The site was not stored.", [problem])
