"""Chargers that go through provisioning again, their state kept, cleared, or set aside first (F46)."""

from datetime import timedelta

from fastapi import APIRouter, Response

from api.auth import Permission, require
from api.guard import Caller, GuardedRoute, Services, permit
from api.once import bind
from api.ports import ApiServices
from api.replies import IdempotencyKey, Limit
from api.schemas.common import ChargerId, PageReply
from api.schemas.reprovisions import ReprovisionBody, ReprovisionReply
from storage.canonical import sha256_hex
from storage.errors import EngineUnavailable
from storage.reprovision import Reprovision, ReprovisionMode, ReprovisionState, ReprovisionStore

router = APIRouter(
    prefix="/api/v1/chargers/{charger_id}/reprovisions", tags=["provisioning"], route_class=GuardedRoute
)


def _store(services: ApiServices) -> ReprovisionStore:
    if services.reprovisions is None:
        raise EngineUnavailable("Nobody is provisioned anew here.")
    return services.reprovisions


@router.post(
    "",
    status_code=202,
    responses={409: {"description": "It is not in service, or one is under way already"}},
)
@permit(Permission.FLEET_WRITE)
async def reprovision_charger(
    response: Response,
    services: Services,
    caller: Caller,
    charger_id: ChargerId,
    body: ReprovisionBody,
    key: IdempotencyKey = None,
) -> ReprovisionReply:
    """Take a charger out of service and through provisioning again; audited, its history is kept.

    It waits until nobody charges there, and until no campaign and no maintenance has the charger. If that
    takes longer than `wait_minutes` it stays as it is. Parked, it is like any other on its way in.
    """
    if body.mode is ReprovisionMode.QUARANTINE:
        require(caller, Permission.TWIN_CONTROL)
    now, reprovision_id = services.clock(), services.new_id()
    if key:
        reprovision_id = sha256_hex(f"{caller.name}\n{charger_id}\n{key}".encode())[:32]
        await bind(services, f"reprovision/{reprovision_id}", body.model_dump(mode="json"))
    given = Reprovision(
        reprovision_id=reprovision_id,
        charger_id=charger_id,
        mode=body.mode,
        actor=caller.name,
        reason=body.reason,
        requested_at=now,
        deadline_at=now + timedelta(minutes=body.wait_minutes),
        environment=services.environment,
        template=body.template,
        parameters=body.parameters,
        profile=body.profile,
    )
    stored = await _store(services).request(given)
    if stored.state is ReprovisionState.RUNNING:
        await services.orchestrator.reprovision_charger(charger_id, stored.reprovision_id)
    response.headers["Location"] = f"/api/v1/chargers/{charger_id}/reprovisions"
    return ReprovisionReply.of(stored)


@router.get("")
@permit(Permission.READ)
async def list_reprovisions(
    services: Services, charger_id: ChargerId, limit: Limit = 100
) -> PageReply[ReprovisionReply]:
    """Every time that this charger went through provisioning again, newest first, refused ones too."""
    await services.chargers.get(charger_id)
    found = await _store(services).of(charger_id, limit=limit)
    return PageReply(items=tuple(ReprovisionReply.of(each) for each in found))
