"""The end of chargers: asked for once, followed, and its signed receipt (F47)."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.ports import ApiServices
from api.replies import Limit
from api.schemas.common import ChargerId, PageReply
from api.schemas.retirements import RetirementBody, RetirementReply
from storage.errors import EngineUnavailable, NotFound
from storage.retirement import Retirement, RetirementStore, receipt_key

router = APIRouter(prefix="/api/v1", tags=["chargers"], route_class=GuardedRoute)
_RECEIPT_BYTES = 4 * 1024 * 1024


def store_of(services: ApiServices) -> RetirementStore:
    """Where retirements are kept. Raises EngineUnavailable."""
    if services.retirements is None:
        raise EngineUnavailable("Nothing about the end of chargers is kept here.")
    return services.retirements


@router.post(
    "/chargers/{charger_id}/decommission",
    status_code=202,
    responses={409: {"description": "It is retired already"}},
)
@permit(Permission.CHARGER_RETIRE)
async def decommission_charger(
    response: Response, services: Services, caller: Caller, charger_id: ChargerId, body: RetirementBody
) -> RetirementReply:
    """Retire a charger for good; nobody takes it back. Asked again, the first request stands.

    From this moment it is no target of campaigns. Its sessions end by themselves; then it is wiped step by
    step, its certificates are revoked, its socket is closed, and nothing it ever had lets it in again.
    """
    now = services.clock()
    deadline = now + timedelta(minutes=body.wait_minutes)
    found = await store_of(services).open(Retirement(charger_id, caller.name, body.reason, now, deadline))
    if found.receipt_sha256 is None:
        await services.orchestrator.retire_charger(charger_id)
    response.headers["Location"] = f"/api/v1/chargers/{charger_id}/decommission"
    return RetirementReply.of(found)


@router.get("/chargers/{charger_id}/decommission")
@permit(Permission.READ)
async def get_decommission(services: Services, charger_id: ChargerId) -> RetirementReply:
    """How far it is: every step with the charger's own answers, and what it waits for."""
    return RetirementReply.of(await store_of(services).get(charger_id))


@router.get("/decommissions")
@permit(Permission.READ)
async def list_decommissions(
    services: Services,
    open_only: Annotated[bool, Query(alias="open", description="Only those that are not over.")] = False,
    limit: Limit = 100,
) -> PageReply[RetirementReply]:
    """The latest first."""
    found = await store_of(services).find(open_only=open_only, limit=limit)
    return PageReply(items=tuple(RetirementReply.of(each) for each in found))


@router.get(
    "/chargers/{charger_id}/receipt",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}, "description": "A DSSE envelope"}},
)
@permit(Permission.READ)
async def get_receipt(services: Services, charger_id: ChargerId) -> Response:
    """The signed receipt of a retired charger, byte for byte. `ampwave receipt verify` checks it offline."""
    found = await store_of(services).get(charger_id)
    if found.receipt_sha256 is None:
        raise NotFound("receipt of charger", charger_id, hint="It is signed when the charger is retired.")
    data, _ = await services.blobs.get(receipt_key(found.receipt_sha256), limit=_RECEIPT_BYTES)
    return Response(data, media_type="application/json")
