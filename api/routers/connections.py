"""How chargers connect: a higher security profile, another network, new passwords; one or many (A05).

All of it goes through the waves, the gate and the site budgets of renewals: `/api/v1/renewals` shows and
steers it.
"""

from dataclasses import replace

from fastapi import APIRouter, Response

from api.auth import Permission
from api.endpoints import endpoint
from api.guard import Caller, GuardedRoute, Services, permit
from api.ports import ApiServices
from api.replies import IdempotencyKey, update_id
from api.routers.renewals import chosen_chargers, open_renewal, plan_from, reply
from api.schemas.certificates import RenewalBody, RenewalReply
from api.schemas.common import PageReply
from api.schemas.connections import EndpointReply, NetworkBody, RotationBody, UpgradeBody
from csms.pki.roots import root_hashes, root_problem
from storage.access import Principal
from storage.connection import Connection, Endpoint
from storage.errors import InvalidInput
from storage.renewal import FleetWork, RenewalPlan, spelled

router = APIRouter(prefix="/api/v1/connections", tags=["connections"], route_class=GuardedRoute)
_TLS = 2


@router.get("/endpoints")
@permit(Permission.READ)
async def list_endpoints(services: Services) -> PageReply[EndpointReply]:
    """Where chargers connect, and may be moved to; the settings of this deployment name them."""
    return PageReply(items=tuple(EndpointReply.model_validate(each) for each in services.endpoints()))


@router.post("/profiles", status_code=202)
@permit(Permission.CHARGER_SECURE)
async def raise_profiles(
    response: Response, services: Services, caller: Caller, body: UpgradeBody, key: IdempotencyKey = None
) -> RenewalReply:
    """Raise the security profile of these chargers. The old one lets one in until it came with the new."""
    plan = plan_from(body, work=FleetWork.RAISE_PROFILE)
    plan = _way(services, body, plan, body.profile)
    return await _opened(response, services, caller, body, plan, key)


@router.post("/networks", status_code=202)
@permit(Permission.CHARGER_SECURE)
async def change_networks(
    response: Response, services: Services, caller: Caller, body: NetworkBody, key: IdempotencyKey = None
) -> RenewalReply:
    """Have these chargers connect another way (2.x). One that does not come back so takes the old way."""
    found = endpoint(services.endpoints(), body.endpoint)
    wanted = body.profile or (_TLS if found.wss else 1)
    plan = _way(services, body, plan_from(body, work=FleetWork.CHANGE_NETWORK), wanted)
    if body.profile is None and plan.connection is not None:
        plan = replace(plan, connection=replace(plan.connection, profile=0))
    return await _opened(response, services, caller, body, plan, key)


@router.post("/passwords", status_code=202)
@permit(Permission.CHARGER_SECURE)
async def rotate_passwords(
    response: Response, services: Services, caller: Caller, body: RotationBody, key: IdempotencyKey = None
) -> RenewalReply:
    """Give these chargers new passwords that nobody sees. An old one dies once the new one is there."""
    plan = plan_from(body, work=FleetWork.ROTATE_PASSWORD)
    return await _opened(response, services, caller, body, plan, key)


async def _opened(
    response: Response,
    services: ApiServices,
    caller: Principal,
    body: RenewalBody,
    plan: RenewalPlan,
    key: str | None,
) -> RenewalReply:
    renewal_id = update_id("connection", caller.name, key) if key else services.new_id()
    chosen = await chosen_chargers(services, body)
    stored = await open_renewal(services, caller, renewal_id, plan, chosen)
    response.headers["Location"] = f"/api/v1/renewals/{renewal_id}"
    return reply(stored)


def _way(
    services: ApiServices, body: UpgradeBody | NetworkBody, plan: RenewalPlan, profile: int
) -> RenewalPlan:
    found = endpoint(services.endpoints(), body.endpoint)
    url = found.door(profile)
    if url is None:
        scheme = "wss" if profile >= _TLS else "ws"
        raise InvalidInput(
            f"Endpoint {found.name} has no door for security profile {profile}.",
            [f"endpoint: it has no {scheme} address"],
            hint="AMPWAVE_CSMS_ENDPOINTS_FILE says which doors there are.",
        )
    connection = _connection(found, url, body, profile)
    if profile < _TLS:
        return replace(plan, connection=connection)
    root = _root(services, body.root)
    names = tuple(spelled(each) for each in root_hashes(root))
    return replace(plan, connection=connection, root=root, root_names=names)


def _connection(found: Endpoint, url: str, body: UpgradeBody | NetworkBody, profile: int) -> Connection:
    return Connection(
        url=url,
        profile=profile,
        endpoint=found.name,
        interface=body.interface,
        message_timeout_s=body.message_timeout_s,
        apn=found.apn,
        vpn=found.vpn,
        slot=body.slot,
    )


def _root(services: ApiServices, pem: str | None) -> str:
    if pem is None:
        raise InvalidInput(
            "A door with TLS needs the root that its server is known by.",
            ["root: is missing"],
            hint="It is checked that the door shows a chain of it, and that each charger has it.",
        )
    if problem := root_problem(pem, services.clock()):
        raise InvalidInput("This is no root that chargers can be given.", [f"root: {problem}"])
    return pem
