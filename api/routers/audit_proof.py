"""What proves the audit log: its signed checkpoints and the keys they are signed with, from the bucket."""

import asyncio
import base64
import json
from typing import Annotated, Any

from fastapi import APIRouter, Path

from api.auth import Permission
from api.guard import GuardedRoute, Services, permit
from api.ports import ApiServices
from api.replies import Limit, NumberCursor
from api.schemas.access import CheckpointReply
from api.schemas.common import PageReply
from signing.checkpoint import MAX_DOCUMENT, checkpoint_key, public_key_key
from signing.timestamping import MAX_STAMP, stamp_key
from storage.errors import NotFound

router = APIRouter(prefix="/api/v1/audit", tags=["access"], route_class=GuardedRoute)
KeyId = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
_AT_ONCE = 20


@router.get("/checkpoints")
@permit(Permission.AUDIT_READ)
async def list_checkpoints(
    services: Services, limit: Limit = 100, cursor: NumberCursor = 0
) -> PageReply[CheckpointReply]:
    """Signed checkpoints from the first on, as DSSE envelopes; whoever reads them verifies them."""
    items: list[CheckpointReply] = []
    while len(items) < limit:
        start = cursor + len(items) + 1
        wanted = range(start, start + min(_AT_ONCE, limit - len(items)))
        found = await asyncio.gather(*(_checkpoint(services, sequence) for sequence in wanted))
        there = [each for each in found if each is not None]
        items += there
        if len(there) < len(found):
            break
    more = str(items[-1].sequence) if len(items) == limit else None
    return PageReply(items=tuple(items), next_cursor=more)


@router.get("/keys/{keyid}")
@permit(Permission.AUDIT_READ)
async def get_checkpoint_key(services: Services, keyid: KeyId) -> dict[str, Any]:
    """The public key that signed checkpoints. Compare its id with the one you were given by other means."""
    document, _ = await services.blobs.get(public_key_key(keyid), limit=MAX_DOCUMENT)
    found: dict[str, Any] = json.loads(document)
    return found


async def _checkpoint(services: ApiServices, sequence: int) -> CheckpointReply | None:
    try:
        document, _ = await services.blobs.get(checkpoint_key(sequence), limit=MAX_DOCUMENT)
    except NotFound:
        return None
    try:
        stamp, _ = await services.blobs.get(stamp_key(sequence), limit=MAX_STAMP)
    except NotFound:
        stamp = b""
    text = base64.b64encode(stamp).decode() if stamp else None
    return CheckpointReply(sequence=sequence, envelope=json.loads(document), timestamp=text)
