"""Moves: whose a charger is and where it belongs, changed on record (F3)."""

from typing import Any

from fastapi import APIRouter

from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.once import bind
from api.replies import IdempotencyKey, Limit
from api.routers.twins import IfMatch, expected_version
from api.schemas.common import ChargerId, PageReply
from api.schemas.ownership import MoveBody, MoveReply
from storage.canonical import sha256_hex
from storage.errors import Conflict, InvalidInput
from storage.ownership import OWNERSHIP_FIELDS, Move, MoveState

router = APIRouter(prefix="/api/v1/chargers/{charger_id}/moves", tags=["registry"], route_class=GuardedRoute)

_ANSWERS: dict[int | str, dict[str, Any]] = {
    409: {"description": "Maintenance or a campaign has the charger, or it is retired"},
    412: {"description": "Somebody else moved it first"},
    428: {"description": "If-Match is missing"},
}


@router.post("", status_code=201, responses=_ANSWERS)
@permit(Permission.CHARGER_MOVE)
async def move_charger(
    services: Services,
    caller: Caller,
    charger_id: ChargerId,
    body: MoveBody,
    if_match: IfMatch = None,
    key: IdempotencyKey = None,
) -> MoveReply:
    """Give a charger to another site, operator, group, place or installer; audited, its history is kept.

    If-Match is its `ownership_version`. Refused while anything is done to it, or a campaign has it.
    """
    values = {name: getattr(body, name) for name in OWNERSHIP_FIELDS if name in body.model_fields_set}
    if not values:
        raise InvalidInput("Nothing is to be changed.", hint=f"Give one of {', '.join(OWNERSHIP_FIELDS)}.")
    move_id = sha256_hex(f"{caller.name}\n{charger_id}\n{key}".encode())[:32] if key else services.new_id()
    if key:
        await bind(services, f"move/{move_id}", values)
    asked = Move(
        move_id, charger_id, expected_version(if_match), values, caller.name, body.reason, services.clock()
    )
    stored = await services.registry.request_move(asked)
    if stored.state is MoveState.REQUESTED:
        stored = await _carried_out(services, stored)
    if stored.state is MoveState.REFUSED:
        raise Conflict(f"{charger_id} was not moved: {stored.why}.", hint="Nothing was changed.")
    return MoveReply.model_validate(stored)


async def _carried_out(services: Services, asked: Move) -> Move:
    try:
        await services.orchestrator.move_charger(asked.charger_id, asked.move_id)
    except Conflict as error:  # its lock is somebody else's
        await services.registry.refuse_move(asked.move_id, error.message.rstrip("."), services.clock())
    return await services.registry.request_move(asked)


@router.get("")
@permit(Permission.READ)
async def list_moves(services: Services, charger_id: ChargerId, limit: Limit = 100) -> PageReply[MoveReply]:
    """Every move of a charger, newest first, refused ones too."""
    await services.chargers.get(charger_id)
    found = await services.registry.moves(charger_id, limit=limit)
    return PageReply(items=tuple(MoveReply.model_validate(each) for each in found))
