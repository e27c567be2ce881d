"""Halts: one person stops everything, two people put it back (S66)."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.halts import HaltActs
from api.replies import Limit
from api.schemas.common import PageReply
from api.schemas.halts import HaltBody, HaltReply, RestoreBody

router = APIRouter(prefix="/api/v1/halts", tags=["halts"], route_class=GuardedRoute)
HaltId = Annotated[int, Path(ge=1, le=2**62)]


@router.get("")
@permit(Permission.READ)
async def list_halts(
    services: Services,
    lifted: Annotated[bool, Query(description="Also those that were lifted.")] = False,
    limit: Limit = 100,
) -> PageReply[HaltReply]:
    """Halts in force, oldest first; with ``lifted`` all of them, latest first."""
    found = await (services.halts.recent(limit=limit) if lifted else services.halts.in_force())
    return PageReply(items=tuple(HaltReply.of(halt) for halt in found), next_cursor=None)


@router.post("", status_code=201)
@permit(Permission.HALT)
async def halt(response: Response, services: Services, caller: Caller, body: HaltBody) -> HaltReply:
    """Halt everything at once. The same again changes nothing. A single release is withdrawn instead."""
    made, paused = await HaltActs(services, caller).halt_everything(body.reason)
    response.headers["Location"] = f"/api/v1/halts/{made.halt_id}"
    return HaltReply.of(made, paused)


@router.post("/{halt_id}/restore")
@permit(Permission.HALT_RESTORE)
async def restore(services: Services, caller: Caller, halt_id: HaltId, body: RestoreBody) -> HaltReply:
    """Say that it may go on. It does once two different people have said so."""
    return HaltReply.of(await HaltActs(services, caller).restore(halt_id, body.reason))
