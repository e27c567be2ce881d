"""The TUF metadata as any TUF client reads it. Public by design: it is signed, and holds no image.

Whoever reviews, signs or audits a release verifies from here with their own root (S15, S19).
"""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.guard import Services

METADATA = "tuf/metadata/"
_LIMIT = 5_000_000
"""Bytes: what TUF clients accept of a targets file (python-tuf's default)."""
_CHANGING = "timestamp.json"

router = APIRouter(tags=["tuf"])


@router.get("/tuf/metadata/{name}", responses={404: {"description": "There is no such file"}})
async def get_metadata(
    services: Services,
    name: Annotated[str, Path(pattern=r"^([0-9]{1,9}\.)?[a-z0-9][a-z0-9\-]{0,63}\.json$")],
) -> Response:
    """One metadata file, byte for byte. Numbered files never change; timestamp.json is never cached."""
    data, etag = await services.blobs.get(METADATA + name, limit=_LIMIT)
    caching = "no-cache" if name == _CHANGING else "public, max-age=31536000, immutable"
    return Response(
        data,
        media_type="application/json",
        headers={"Cache-Control": caching, "ETag": f'"{etag.strip(chr(34))}"'},
    )
