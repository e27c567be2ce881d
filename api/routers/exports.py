"""Daily files for finance, with their manifest."""

import asyncio
import json
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.auth import Permission
from api.guard import GuardedRoute, Services, permit
from api.ports import ApiServices
from api.schemas.exports import ExportReply
from storage.daily import SESSIONS, file_key, manifest_key
from storage.errors import NotFound

router = APIRouter(prefix="/api/v1/exports", tags=["exports"], route_class=GuardedRoute)
_MANIFEST_BYTES = 64 * 1024
_FILE_BYTES = 1024**3


@router.get("")
@permit(Permission.READ)
async def list_exports(
    services: Services, days: Annotated[int, Query(ge=1, le=92, description="Days back from today.")] = 31
) -> tuple[ExportReply, ...]:
    """Manifests of the last days, latest first. A day is there an hour after it is over, by UTC."""
    today = services.clock().date()
    wanted = (today - timedelta(days=back) for back in range(1, days + 1))
    found = await asyncio.gather(*(_manifest(services, day) for day in wanted))
    return tuple(each for each in found if each is not None)


@router.get("/{day}/sessions.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
@permit(Permission.READ)
async def get_sessions(services: Services, day: Annotated[date, Path(examples=["2026-11-24"])]) -> Response:
    """Sessions whose end was received on that day. Compare with the manifest's SHA-256."""
    data, _ = await services.blobs.get(file_key(day.isoformat(), SESSIONS), limit=_FILE_BYTES)
    return Response(data, media_type="text/csv")


async def _manifest(services: ApiServices, day: date) -> ExportReply | None:
    try:
        document, _ = await services.blobs.get(manifest_key(day.isoformat()), limit=_MANIFEST_BYTES)
    except NotFound:
        return None
    return ExportReply.model_validate(json.loads(document))
