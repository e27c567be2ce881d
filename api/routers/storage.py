"""What is stored, by class, and what a round of retention would do to it."""

from collections.abc import Sequence

from fastapi import APIRouter

from api.acts import audit
from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.ports import ApiServices
from api.schemas.storage import ClassReply, RetentionReply
from storage.errors import EngineUnavailable
from storage.retention import RetentionStore

router = APIRouter(prefix="/api/v1/storage", tags=["storage"], route_class=GuardedRoute)
_SECONDS = 45.0


@router.get("/retention")
@permit(Permission.STORAGE_ADMIN)
async def survey_storage(services: Services) -> RetentionReply:
    """Count every class: what it costs, what would go now, and what is old but needed. Removes nothing."""
    return RetentionReply(dry_run=True, classes=await _survey(services), removed={})


@router.post("/retention")
@permit(Permission.STORAGE_ADMIN)
async def remove_outlived(services: Services, caller: Caller) -> RetentionReply:
    """Remove what had its time, for up to a minute; what is left goes by itself."""
    classes = await _survey(services)
    store = _store(services)
    removed = await store.remove(services.retention_policy, services.clock(), seconds=_SECONDS)
    await audit(services, caller, "storage.removed", "storage", removed=dict(removed))
    return RetentionReply(dry_run=False, classes=classes, removed=dict(removed))


async def _survey(services: ApiServices) -> Sequence[ClassReply]:
    found = await _store(services).survey(services.retention_policy, services.clock())
    return tuple(ClassReply.of(one) for one in found)


def _store(services: ApiServices) -> RetentionStore:
    if services.retention is None:
        raise EngineUnavailable("This api does not reach what is stored.")
    return services.retention
