"""People's commands to single chargers."""

from fastapi import APIRouter, Response

from api.auth import Permission
from api.charger_errors import error_of
from api.command_door import CommandDoor
from api.commands import AnyCommandBody
from api.errors import problem_of
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import IdempotencyKey, Limit, problem_reply
from api.schemas.command_base import CommandBody
from api.schemas.common import ChargerId, PageReply
from api.schemas.operator import CommandReply
from storage.command import CommandState
from storage.errors import NotFound

router = APIRouter(prefix="/api/v1/chargers", tags=["commands"], route_class=GuardedRoute)


@router.post(
    "/{charger_id}/commands",
    response_model=CommandReply,
    responses={202: {"model": CommandReply, "description": "Not answered yet; Location has it"}},
)
@permit(Permission.CHARGER_QUERY)
async def send_command(
    services: Services,
    caller: Caller,
    charger_id: ChargerId,
    body: AnyCommandBody,
    key: IdempotencyKey = None,
) -> Response:
    """Send one command to one charger and wait for its answer, at most `deadline_seconds`.

    200 is the charger's answer, whatever it says. A charger that is away, at work or silent is a problem.
    Firmware is not sent here: it goes out through campaigns only.
    """
    return await _reply(CommandDoor(services, caller, charger_id, key), body.root)


async def _reply(door: CommandDoor, body: CommandBody) -> Response:
    record = await door.send(body)
    headers = {"Location": f"/api/v1/chargers/{door.charger_id}/commands/{record.command_id}"}
    error = error_of(record)
    if error is not None:
        return problem_reply(problem_of(error), error.diagnostics(), headers=headers)
    status = 202 if record.state is CommandState.REQUESTED else 200
    reply = CommandReply.of(record, door.services.clock())
    return Response(reply.model_dump_json(), status, headers, "application/json")


@router.get("/{charger_id}/commands")
@permit(Permission.READ)
async def list_commands(
    services: Services, charger_id: ChargerId, limit: Limit = 20
) -> PageReply[CommandReply]:
    """The latest commands that people sent to this charger, newest first."""
    await services.chargers.get(charger_id)
    now = services.clock()
    found = await services.commands.latest(charger_id, limit=limit)
    return PageReply(items=tuple(CommandReply.of(record, now) for record in found))


@router.get("/{charger_id}/commands/{command_id}")
@permit(Permission.READ)
async def get_command(services: Services, charger_id: ChargerId, command_id: str) -> CommandReply:
    """One command, and what became of it."""
    record = await services.commands.get(command_id)
    if record.charger_id != charger_id:
        raise NotFound("command", command_id)
    return CommandReply.of(record, services.clock())
