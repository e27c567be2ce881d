"""Chargers that are set aside: why, what may still happen to them, what to do, and the way back (F34)."""

from fastapi import APIRouter

from api.auth import Permission
from api.enrolling import store_of
from api.guard import Caller, GuardedRoute, Services, permit
from api.schemas import quarantine as shapes
from api.schemas.common import ChargerId
from storage.quarantine import ALLOWED, QuarantineAct
from storage.twin import Lifecycle
from storage.twin_schema import Severity

router = APIRouter(prefix="/api/v1/chargers/{charger_id}", tags=["chargers"], route_class=GuardedRoute)


@router.get("/quarantine")
@permit(Permission.READ)
async def get_quarantine(services: Services, charger_id: ChargerId) -> shapes.QuarantineStateReply:
    """Whether it is set aside, since when and why; what stands in the way of its release; earlier stays."""
    lifecycle = (await services.chargers.get(charger_id)).charger.lifecycle
    stays = await store_of(services).cases(charger_id)
    doubts = await services.twins.drifts(charger_id=charger_id, severity=Severity.CRITICAL)
    cases = tuple(shapes.CaseReply.of(each) for each in stays)
    aside = lifecycle is Lifecycle.QUARANTINED
    return shapes.QuarantineStateReply(
        charger_id=charger_id,
        lifecycle=lifecycle,
        current=next((each for each in cases if each.released_at is None), None) if aside else None,
        doubts=tuple(shapes.DoubtReply.of(each) for each in doubts.items),
        allowed=ALLOWED if aside else {},
        next=shapes.next_step(charger_id, doubts.items) if aside else "",
        stays=cases,
    )


@router.post("/quarantine", responses={409: {"description": "It ends already"}})
@permit(Permission.TWIN_CONTROL)
async def quarantine_charger(
    services: Services, caller: Caller, charger_id: ChargerId, body: shapes.QuarantineBody
) -> shapes.QuarantineReply:
    """Set a charger aside: its socket is closed, and nothing is sent to it until a person takes it back."""
    await store_of(services).set_aside(QuarantineAct(charger_id, caller.name, body.reason, services.clock()))
    return shapes.QuarantineReply(charger_id=charger_id, lifecycle=Lifecycle.QUARANTINED)


@router.post(
    "/release", responses={409: {"description": "It is not set aside, or something critical is open"}}
)
@permit(Permission.TWIN_CONTROL)
async def release_charger(
    services: Services, caller: Caller, charger_id: ChargerId, body: shapes.QuarantineBody
) -> shapes.QuarantineReply:
    """Take it back, once nothing critical is in doubt of it."""
    act = QuarantineAct(charger_id, caller.name, body.reason, services.clock())
    return shapes.QuarantineReply(charger_id=charger_id, lifecycle=await store_of(services).take_back(act))
