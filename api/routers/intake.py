"""Other ways in for images: in pieces, as tus 1.0.0 has them, and from a vendor's address."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, metrics_of, permit
from api.image_pieces import MEDIA_TYPE, Pieces, announced
from api.replies import IdempotencyKey
from api.schemas.artifacts import ArtifactReply, ImportBody, ManifestBody
from api.seats import Seats
from api.shelf import Recorded
from api.vendor_import import VendorImport
from storage.errors import InvalidInput
from storage.transfer import Upload

router = APIRouter(prefix="/api/v1", tags=["artifacts"], route_class=GuardedRoute)

UploadId = Annotated[str, Path(pattern=r"^[A-Za-z0-9\-]{1,64}$")]
_VERSION = "1.0.0"
_PIECE: dict[str, Any] = {
    "requestBody": {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}
_HEADERS: dict[str, Any] = {
    "Upload-Offset": {"description": "How many bytes are here.", "schema": {"type": "integer"}},
    "Upload-Length": {"description": "How many the image has.", "schema": {"type": "integer"}},
    "Upload-Expires": {"description": "When it is forgotten.", "schema": {"type": "string"}},
}


@router.post("/uploads", status_code=201, response_class=Response, responses={201: {"headers": _HEADERS}})
@permit(Permission.ARTIFACT_UPLOAD)
async def begin_upload(request: Request, services: Services, caller: Caller) -> Response:
    """Begin to upload an image in pieces: Upload-Length, and its SHA-256 in Upload-Metadata.

    The same image again is the upload that broke off: go on from its Upload-Offset.
    """
    _check_version(request)
    length, sha256 = announced(request.headers, services.limits.upload_bytes)
    upload = await Pieces(services, caller).begin(length, sha256)
    return _told(upload, 201, {"Location": f"/api/v1/uploads/{upload.upload_id}"})


@router.head("/uploads/{upload_id}", response_class=Response, responses={200: {"headers": _HEADERS}})
@permit(Permission.ARTIFACT_UPLOAD)
async def ask_upload(request: Request, services: Services, caller: Caller, upload_id: UploadId) -> Response:
    """How many bytes of it are here: where to go on."""
    _check_version(request)
    return _told(await Pieces(services, caller).get(upload_id), 200)


@router.patch(
    "/uploads/{upload_id}",
    status_code=204,
    response_class=Response,
    openapi_extra=_PIECE,
    responses={204: {"headers": _HEADERS}},
)
@permit(Permission.ARTIFACT_UPLOAD, body_limit="upload_bytes")
async def send_piece(request: Request, services: Services, caller: Caller, upload_id: UploadId) -> Response:
    """The next bytes, from Upload-Offset on. What came before a break is kept."""
    _check_version(request)
    async with Recorded(services, caller, f"upload/{upload_id}"):
        return _told(await Pieces(services, caller).add(upload_id, request), 204)


@router.delete("/uploads/{upload_id}", status_code=204, response_class=Response)
@permit(Permission.ARTIFACT_UPLOAD)
async def drop_upload(request: Request, services: Services, caller: Caller, upload_id: UploadId) -> Response:
    """Give it up; nothing of it stays."""
    _check_version(request)
    await Pieces(services, caller).drop(upload_id)
    return Response(status_code=204, headers={"Tus-Resumable": _VERSION})


@router.post("/uploads/{upload_id}/artifact", status_code=201)
@permit(Permission.ARTIFACT_UPLOAD)
async def finish_upload(
    request: Request,
    response: Response,
    services: Services,
    caller: Caller,
    upload_id: UploadId,
    body: ManifestBody,
) -> ArtifactReply:
    """All bytes are here: make the artifact of this manifest out of them. Safe to repeat, also once it is."""
    async with Recorded(services, caller, f"upload/{upload_id}"):
        stored = await Pieces(services, caller).finish(upload_id, body)
    metrics_of(request).upload_bytes.inc(stored.length)
    response.headers["Location"] = f"/api/v1/artifacts/{stored.artifact_id}"
    return ArtifactReply.model_validate(stored)


@router.post("/imports", status_code=201)
@permit(Permission.ARTIFACT_UPLOAD)
async def import_artifact(
    request: Request,
    response: Response,
    services: Services,
    caller: Caller,
    body: ImportBody,
    key: IdempotencyKey = None,
) -> ArtifactReply:
    """Fetch a firmware image from its vendor's public https address; answers when it is here."""
    seats: Seats = request.app.state.import_seats
    with seats:
        importing = VendorImport(services, caller, key is not None, request.app.state.vendor_fetch)
        artifact = await importing.take(body.url, body.manifest)
    metrics_of(request).upload_bytes.inc(artifact.length)
    response.headers["Location"] = f"/api/v1/artifacts/{artifact.artifact_id}"
    return ArtifactReply.model_validate(artifact)


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable", _VERSION) != _VERSION:
        raise InvalidInput(f"Only tus {_VERSION} is spoken here.")


def _told(upload: Upload, status: int, more: dict[str, str] | None = None) -> Response:
    return Response(
        status_code=status,
        headers={
            "Tus-Resumable": _VERSION,
            "Upload-Offset": str(upload.offset),
            "Upload-Length": str(upload.length),
            "Upload-Expires": upload.expires_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "Cache-Control": "no-store",
            **(more or {}),
        },
    )
