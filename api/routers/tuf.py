"""The TUF repository's metadata, for people who sign and for anybody who verifies. Public by nature.

Only "there is none" is 404: an outage is 503, so that nobody mistakes it for the end of a chain (S20).
"""

import re

from fastapi import APIRouter, Request, Response

from api.guard import Services
from api.replies import tag_matches
from storage.canonical import sha256_hex
from storage.errors import NotFound

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
