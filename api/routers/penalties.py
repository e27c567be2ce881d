"""The penalty box: who is set apart after too many failed updates, and letting one back (R27)."""

from fastapi import APIRouter

from api.acts import audit
from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import Limit
from api.schemas.common import ChargerId, PageReply
from api.schemas.penalties import PenaltyReply, ReleaseBody

router = APIRouter(prefix="/api/v1/penalties", tags=["chargers"], route_class=GuardedRoute)


@router.get("")
@permit(Permission.READ)
async def list_penalties(services: Services, limit: Limit = 100) -> PageReply[PenaltyReply]:
    """Who gets no update for now, over all campaigns; whose time is over first comes first."""
    found = await services.penalties.in_force(services.clock(), limit=limit)
    return PageReply(items=tuple(PenaltyReply.of(one) for one in found), next_cursor=None)


@router.post("/{charger_id}/release")
@permit(Permission.CHARGER_OPERATE)
async def release(
    services: Services, caller: Caller, charger_id: ChargerId, body: ReleaseBody
) -> PenaltyReply:
    """Let a charger get updates again before its time is over. What failed before counts no more."""
    done = await services.penalties.release(charger_id, caller.name, services.clock())
    await audit(services, caller, "charger.released", f"charger/{charger_id}", reason=body.reason)
    return PenaltyReply.of(done)
