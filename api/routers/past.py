"""Twins as they were, where their values come from, and whether they can be made anew."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import Cursor
from api.schemas.common import ChargerId, Instant, PageReply
from api.schemas.twins import OriginReply, PastReply, RebuiltReply, RepairBody, RepairedReply
from api.seats import Seats
from storage.errors import InvalidInput
from storage.past import PastQuestion, Repair
from storage.twin_schema import canonical_path, field_of

router = APIRouter(prefix="/api/v1/chargers/{charger_id}", tags=["twins"], route_class=GuardedRoute)
fleet = APIRouter(prefix="/api/v1/rebuilds", tags=["twins"], route_class=GuardedRoute)

_Revision = Annotated[int | None, Query(ge=0, lt=2**63, description="Of the whole twin.")]
_KnownAt = Annotated[Instant | None, Query(description="What did we know at this instant?")]
_TrueAt = Annotated[
    Instant | None, Query(description="What was true at this instant, late reports in their place?")
]
_Path = Annotated[
    str, Query(min_length=3, max_length=300, pattern=r"^[^\x00-\x1f]+$", examples=["firmware.version"])
]


def _seats(request: Request) -> Seats:
    seats: Seats = request.app.state.rebuild_seats
    return seats


_Seats = Annotated[Seats, Depends(_seats)]


@router.get("/twin")
@permit(Permission.READ)
async def get_past_twin(
    services: Services,
    charger_id: ChargerId,
    revision: _Revision = None,
    known_at: _KnownAt = None,
    true_at: _TrueAt = None,
) -> PastReply:
    """A twin as it was, by exactly one of `revision`, `known_at` and `true_at`."""
    if sum(given is not None for given in (revision, known_at, true_at)) != 1:
        raise InvalidInput("Give exactly one of revision, known_at and true_at.")
    return PastReply.of(await services.twins.past(charger_id, PastQuestion(revision, known_at, true_at)))


@router.get("/why")
@permit(Permission.READ)
async def get_origin(
    services: Services, charger_id: ChargerId, field: _Path, desired: bool = False
) -> OriginReply:
    """Where a value comes from: its revision, who set it, the event and the raw frame."""
    full = canonical_path(field)
    if field_of(full) is None:
        raise InvalidInput(f"The twin has no field {field!r}.", hint="docs/TWIN.md lists them.")
    side = "desired" if desired else "reported"
    return OriginReply.model_validate(await services.twins.origin(charger_id, full, side=side))


@router.get("/rebuild")
@permit(Permission.READ)
async def check_rebuild(seats: _Seats, services: Services, charger_id: ChargerId) -> RebuiltReply:
    """Make the twin anew from all its stored events and compare; nothing is changed."""
    with seats:
        return RebuiltReply.model_validate(await services.twins.rebuild(charger_id))


@router.post("/rebuild")
@permit(Permission.TWIN_CONTROL)
async def repair_twin(
    services: Services, caller: Caller, charger_id: ChargerId, body: RepairBody
) -> RepairedReply:
    """Make the twin in use what its stored events make of it; safe while the charger talks, and to repeat."""
    given = Repair(charger_id, caller.name, body.reason, services.clock())
    return RepairedReply.model_validate(await services.twins.repair(given))


@fleet.get("")
@permit(Permission.READ)
async def check_rebuilds(
    seats: _Seats,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=100, description="Twins a page; each is made anew.")] = 20,
    cursor: Cursor = None,
) -> PageReply[RebuiltReply]:
    """Make every twin anew from its stored events and compare, page by page, by id; nothing is changed."""
    with seats:
        page = await services.twins.rebuild_page(limit=limit, cursor=cursor)
    items = tuple(RebuiltReply.model_validate(each) for each in page.items)
    return PageReply(items=items, next_cursor=page.next_cursor)
