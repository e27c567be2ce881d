"""Chargers that are not what they said they would be, and what they said that nobody can believe."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Permission
from api.guard import GuardedRoute, Services, permit
from api.replies import Cursor, Limit
from api.schemas.common import ChargerId, PageReply
from api.schemas.twins import AnomalyReply, DriftReply
from storage.drift import DriftState
from storage.twin_schema import Severity

router = APIRouter(prefix="/api/v1", tags=["twins"], route_class=GuardedRoute)

_All = Annotated[bool, Query(description="Also those that are pending or closed.")]


@router.get("/drift")
@permit(Permission.READ)
async def list_drift(
    services: Services,
    severity: Severity | None = None,
    all: _All = False,  # noqa: A002 - its name in the query string
    limit: Limit = 100,
    cursor: Cursor = None,
) -> PageReply[DriftReply]:
    """Drift over the whole fleet, newest first: open ones, unless all are asked for."""
    states = tuple(DriftState) if all else (DriftState.OPEN,)
    page = await services.twins.drifts(states=states, severity=severity, limit=limit, cursor=cursor)
    return PageReply(
        items=tuple(DriftReply.model_validate(each) for each in page.items), next_cursor=page.next_cursor
    )


@router.get("/chargers/{charger_id}/drift")
@permit(Permission.READ)
async def get_drift(
    services: Services,
    charger_id: ChargerId,
    all: _All = False,  # noqa: A002 - its name in the query string
    limit: Limit = 100,
    cursor: Cursor = None,
) -> PageReply[DriftReply]:
    """Where one charger is not what it said it would be, newest first."""
    await services.chargers.get(charger_id)
    states = tuple(DriftState) if all else (DriftState.OPEN,)
    page = await services.twins.drifts(charger_id=charger_id, states=states, limit=limit, cursor=cursor)
    return PageReply(
        items=tuple(DriftReply.model_validate(each) for each in page.items), next_cursor=page.next_cursor
    )


@router.get("/chargers/{charger_id}/anomalies")
@permit(Permission.READ)
async def get_anomalies(services: Services, charger_id: ChargerId) -> PageReply[AnomalyReply]:
    """What this charger reported and was kept out of its twin, latest first; at most 200."""
    await services.chargers.get(charger_id)
    found = await services.twins.anomalies(charger_id)
    return PageReply(items=tuple(AnomalyReply.model_validate(each) for each in found))
