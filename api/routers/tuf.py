"""The TUF repository's metadata, for people who sign and for anybody who verifies. Public by nature.

Only "there is none" is 404: an outage is 503, so that nobody mistakes it for the end of a chain (S20).
"""

import re
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from activities.metadata import CeremonyOrder
from api.acts import audit
from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import Limit, tag_matches
from api.schemas.common import PageReply, Sha256
from api.schemas.tuf import CeremonyReply, DrillReply
from signing.ports import MAX_CEREMONY
from storage.canonical import sha256_hex
from storage.errors import Conflict, InvalidInput, NotFound
from storage.ids import ceremony_key, drill_key

router = APIRouter(prefix="/tuf/metadata", tags=["tuf"], include_in_schema=False)

_NAME = re.compile(r"timestamp\.json|\d{1,10}\.[a-z0-9\-]{1,64}\.json")
PREFIX = "tuf/metadata/"
"""``signing.trust_source.METADATA_PREFIX``, without importing a TUF client into the api (a test compares)."""
_LIMIT = 2 * 1024 * 1024
"""No role's file is longer (S11)."""


@router.get("/{name}")
async def get_metadata(request: Request, services: Services, name: str) -> Response:
    """One file as it was signed. All but the timestamp never change."""
    if not _NAME.fullmatch(name):
        raise NotFound("metadata file", name)
    data, _ = await services.blobs.get(PREFIX + name, limit=_LIMIT)
    caching = "no-cache" if name == "timestamp.json" else "public, max-age=31536000, immutable"
    headers = {"ETag": f'"{sha256_hex(data)[:32]}"', "Cache-Control": caching}
    if tag_matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="application/json", headers=headers)


ceremonies = APIRouter(prefix="/api/v1/tuf/ceremonies", tags=["tuf"], route_class=GuardedRoute)
_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A ceremony file of `ampwave tuf combine`, as it is.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


@ceremonies.post("", openapi_extra=_FILE)
@permit(Permission.TUF_PUBLISH, body_limit="import_bytes")
async def publish_ceremony(request: Request, services: Services, caller: Caller) -> CeremonyReply:
    """Publish what the people of a ceremony signed, or restore a backup. The same file again changes nothing.

    The file is kept, with its transcript. Whether enough people signed is judged by the signer, from its
    own root; nobody's role here counts for it.
    """
    data = await request.body()
    if len(data) > MAX_CEREMONY:
        raise InvalidInput(f"A ceremony file has at most {MAX_CEREMONY} bytes.")
    if not data.lstrip().startswith(b"{"):
        raise InvalidInput(
            "This is no ceremony file.", hint="Send the file of `ampwave tuf combine` as it is."
        )
    sha256 = sha256_hex(data)
    await services.blobs.put_bytes(ceremony_key(sha256), data)
    try:
        stamp = await services.orchestrator.publish_ceremony(CeremonyOrder(sha256, caller.name))
    except Conflict as refusal:
        await audit(services, caller, "tuf.refused", f"ceremony/{sha256}", why=refusal.message)
        raise
    return CeremonyReply(sha256=sha256, **asdict(stamp))


@ceremonies.get("/{sha256}", response_class=Response)
@permit(Permission.READ)
async def get_ceremony(services: Services, sha256: Sha256) -> Response:
    """A ceremony file that was handed in, with every signature and its transcript."""
    data, _ = await services.blobs.get(ceremony_key(sha256), limit=MAX_CEREMONY)
    return Response(data, media_type="application/json")


drills = APIRouter(prefix="/api/v1/tuf/drills", tags=["tuf"], route_class=GuardedRoute)
_RECORD_BYTES = 262_144


@drills.get("")
@permit(Permission.READ)
async def list_drills(
    services: Services,
    after: Annotated[int, Query(ge=0, le=999_999, description="Records up to this number are known.")] = 0,
    limit: Limit = 100,
) -> PageReply[DrillReply]:
    """Drills on record, first to last, each with the hash of the one before (`ampwave tuf drill`)."""
    items: list[DrillReply] = []
    for number in range(after + 1, after + 1 + limit):
        try:
            data, _ = await services.blobs.get(drill_key(number), limit=_RECORD_BYTES)
        except NotFound:
            return PageReply(items=tuple(items), next_cursor=None)
        items.append(DrillReply.model_validate_json(data))
    return PageReply(items=tuple(items), next_cursor=None)
