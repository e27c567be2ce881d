"""What people say that decides when an update may come: holds and pins, closed times, metering."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.acts import audit
from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.schemas.common import ChargerId, Instant, PageReply, Sha256
from api.schemas.upkeep import (
    ClosureReply,
    ClosuresBody,
    MeteringBody,
    MeteringReply,
    UpkeepBody,
    UpkeepReply,
)
from storage.errors import InvalidInput, NotFound
from storage.upkeep import Metering, Upkeep
from storage.windows import HORIZON

router = APIRouter(prefix="/api/v1", tags=["upkeep"], route_class=GuardedRoute)
ClosureId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
When = Annotated[Instant | None, Query()]


@router.get("/chargers/{charger_id}/upkeep")
@permit(Permission.READ)
async def get_upkeep(services: Services, charger_id: ChargerId) -> UpkeepReply:
    """Who holds it and until when, the version it is pinned to, how it is connected, what it gives."""
    await services.chargers.get(charger_id)
    said = (await services.upkeep.upkeep([charger_id])).get(charger_id) or Upkeep(charger_id)
    return UpkeepReply.of(said, services.clock())


@router.post("/chargers/{charger_id}/upkeep")
@permit(Permission.CHARGER_HOLD)
async def change_upkeep(
    services: Services, caller: Caller, charger_id: ChargerId, body: UpkeepBody
) -> UpkeepReply:
    """Hold a charger, pin it, or say how it is connected; what is left out stays. It counts at once."""
    await services.chargers.get(charger_id)
    given = body.model_dump(exclude_unset=True)
    if "hold" in given and "hold_until" not in given:
        given["hold_until"] = None  # Of an earlier hold.
    changes = {**given, "hold": given.get("hold") or ""} if "hold" in given else given
    if changes.get("connector_types", ()) is None:
        changes["connector_types"] = ()
    said = Upkeep(charger_id, **{**changes, "changed_by": caller.name})
    await services.upkeep.put_upkeep(said, only=tuple(changes))
    await audit(
        services,
        caller,
        "charger.upkeep",
        f"charger/{charger_id}",
        **body.model_dump(mode="json", exclude_unset=True),
    )
    return await get_upkeep(services, charger_id)


@router.get("/closures")
@permit(Permission.READ)
async def list_closures(
    services: Services, begins: When = None, ends: When = None
) -> PageReply[ClosureReply]:
    """Closed times between two instants; from now on for 62 days unless said."""
    begin: datetime = begins or services.clock()
    found = await services.upkeep.closures(begin, ends or begin + HORIZON)
    return PageReply(items=tuple(ClosureReply.model_validate(each) for each in found), next_cursor=None)


@router.post("/closures", status_code=201)
@permit(Permission.CALENDAR_WRITE)
async def add_closures(
    response: Response, services: Services, caller: Caller, body: ClosuresBody
) -> PageReply[ClosureReply]:
    """Close sites, or everything, for a while: grid event, tariff, freeze. The same again is no news."""
    wanted = [each.to_noun() for each in body.closures]
    if all(each.ends <= services.clock() for each in wanted):
        # A calendar that is brought again may begin long ago; one that is wholly past closes nothing.
        raise InvalidInput("Nothing would be closed: all of it is past.", hint="Give times that lie ahead.")
    stored = await services.upkeep.put_closures(wanted)
    first, last = min(each.begins for each in stored), max(each.ends for each in stored)
    await audit(
        services,
        caller,
        "calendar.closed",
        "calendar",
        count=len(stored),
        sites=sorted({each.site_id or "everywhere" for each in stored})[:20],
        begins=first.isoformat(),
        ends=last.isoformat(),
        reason=stored[0].reason,
    )
    response.headers["Location"] = "/api/v1/closures"
    return PageReply(items=tuple(ClosureReply.model_validate(each) for each in stored), next_cursor=None)


@router.delete("/closures/{closure_id}", status_code=204)
@permit(Permission.CALENDAR_WRITE)
async def remove_closure(services: Services, caller: Caller, closure_id: ClosureId) -> None:
    """Open again before its time."""
    if not await services.upkeep.remove_closure(closure_id):
        raise NotFound("closure", closure_id, hint="See them: ampwave calendar list.")
    await audit(services, caller, "calendar.opened", f"closure/{closure_id}")


@router.get("/artifacts/{artifact_id}/metering")
@permit(Permission.READ)
async def get_metering(services: Services, artifact_id: Sha256) -> MeteringReply:
    """Where firmware that affects metering is permitted; 404: it does not affect metering."""
    found = await services.upkeep.metering(artifact_id)
    if found is None:
        raise NotFound("metering of artifact", artifact_id, hint="Nobody marked it as affecting metering.")
    return MeteringReply.model_validate(found)


@router.put("/artifacts/{artifact_id}/metering")
@permit(Permission.METERING_PERMIT)
async def put_metering(
    services: Services, caller: Caller, artifact_id: Sha256, body: MeteringBody
) -> MeteringReply:
    """Mark firmware as affecting legal metering, and say in which countries it is permitted all the same."""
    await services.artifacts.get(artifact_id)
    countries = tuple(sorted(set(body.countries)))
    given = Metering(artifact_id, countries, body.reason, caller.name, services.clock())
    await services.upkeep.put_metering(given)
    await audit(
        services,
        caller,
        "artifact.metering",
        f"artifact/{artifact_id}",
        countries=list(countries),
        reason=body.reason,
    )
    return MeteringReply.model_validate(given)
