"""Artifacts: upload, look, sign."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, metrics_of, permit
from api.replies import NOT_MODIFIED, Cursor, IdempotencyKey, Limit, tagged_reply
from api.schemas.artifacts import ArtifactReply, ManifestBody, SignOffBody, StagedReply
from api.schemas.common import PageReply, Sha256
from api.uploads import Intake
from storage.artifact import Artifact, ArtifactPhase, StagedRelease
from storage.errors import Conflict, InvalidInput, NotFound, StaleVersion
from storage.ports import ArtifactStore

router = APIRouter(prefix="/api/v1/artifacts", tags=["artifacts"], route_class=GuardedRoute)

_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "manifest"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The image."},
                        "manifest": {"$ref": "#/components/schemas/ManifestBody"},
                    },
                },
                "encoding": {"manifest": {"contentType": "application/json"}},
            }
        },
    }
}
EXTRA_SCHEMAS: dict[str, TypeAdapter[Any]] = {"ManifestBody": TypeAdapter(ManifestBody)}
"""Read by hand and so unknown to FastAPI; ``api.contract`` adds them to the OpenAPI document."""


@router.post("", status_code=201, response_model=ArtifactReply, openapi_extra=_UPLOAD)
@permit(Permission.ARTIFACT_UPLOAD, body_limit="upload_bytes")
async def upload_artifact(
    request: Request, response: Response, services: Services, caller: Caller, key: IdempotencyKey = None
) -> ArtifactReply:
    """Take a firmware image in. It is inspected next, then people sign it; follow its phase."""
    artifact = await Intake(services, caller, key is not None).take(request)
    metrics_of(request).upload_bytes.inc(artifact.length)
    response.headers["Location"] = f"/api/v1/artifacts/{artifact.artifact_id}"
    return ArtifactReply.model_validate(artifact)


@router.get("")
@permit(Permission.READ)
async def list_artifacts(
    services: Services, limit: Limit = 100, cursor: Cursor = None
) -> PageReply[ArtifactReply]:
    """Newest first."""
    page = await services.artifacts.find(limit=limit, cursor=cursor)
    items = tuple(ArtifactReply.model_validate(artifact) for artifact in page.items)
    return PageReply(items=items, next_cursor=page.next_cursor)


@router.get("/{artifact_id}", response_model=ArtifactReply, responses=NOT_MODIFIED)
@permit(Permission.READ)
async def get_artifact(request: Request, services: Services, artifact_id: Sha256) -> Response:
    """One artifact."""
    artifact = await services.artifacts.get(artifact_id)
    return tagged_reply(request, ArtifactReply.model_validate(artifact))


@router.get("/{artifact_id}/staged", response_model=StagedReply, responses=NOT_MODIFIED)
@permit(Permission.READ)
async def get_staged(request: Request, services: Services, artifact_id: Sha256) -> Response:
    """What is staged for signature: the very bytes to sign, and who signed them."""
    artifact = await services.artifacts.get(artifact_id)
    staged = await services.artifacts.staged(artifact_id)
    if staged is None:
        raise NotFound("staged release for artifact", artifact_id, hint=_unstaged(artifact))
    return tagged_reply(request, await _staged_reply(services.artifacts, staged))


@router.post("/{artifact_id}/staged")
@permit(Permission.ARTIFACT_SIGN)
async def look_again(services: Services, artifact_id: Sha256) -> StagedReply:
    """Have the signer look whether what is staged can still be published, and stage it again if not.

    Signatures over what can still be published stay; over what cannot, they are void.
    """
    await _refuse_unstaged(services.artifacts, artifact_id)
    await services.orchestrator.look_again(artifact_id)
    return await _staged_reply(services.artifacts, await _refuse_unstaged(services.artifacts, artifact_id))


@router.post("/{artifact_id}/sign-offs", status_code=202)
@permit(Permission.ARTIFACT_SIGN)
async def sign_off(
    response: Response, services: Services, caller: Caller, artifact_id: Sha256, body: SignOffBody
) -> StagedReply:
    """Add one person's signature over the staged bytes. The same signature again changes nothing."""
    artifact = await services.artifacts.get(artifact_id)
    staged = await services.artifacts.staged(artifact_id)
    _check_sign_off(artifact, staged, body)
    await services.orchestrator.sign_off(body.to_noun(artifact_id, caller.name, services.clock()))
    response.headers["Location"] = f"/api/v1/artifacts/{artifact_id}/staged"
    now_staged = await services.artifacts.staged(artifact_id) or staged
    assert now_staged is not None  # noqa: S101 - _check_sign_off refused None
    return await _staged_reply(services.artifacts, now_staged)


def _unstaged(artifact: Artifact) -> str:
    """Why there is nothing to sign, and what to do: who waits for what never comes waits in vain."""
    name = f"{artifact.vendor_role}/{artifact.version}"
    if artifact.phase is ArtifactPhase.REJECTED:
        because = f": {artifact.reason}" if artifact.reason else "."
        return f"It was rejected{because} Mend that, and upload it again: ampwave artifact upload"
    over = {
        ArtifactPhase.RELEASED: "It is released already.",
        ArtifactPhase.PUBLISHING: "It has its signatures, and is being published.",
        ArtifactPhase.REVOKED: "It was withdrawn: nobody signs it any more.",
        ArtifactPhase.AWAITING_EVIDENCE: f"Bring what is missing first: ampwave artifact show {name}",
    }
    return over.get(artifact.phase, f"It is checked first; wait: ampwave artifact release {name} --wait")


def _check_sign_off(artifact: Artifact, staged: StagedRelease | None, body: SignOffBody) -> None:
    if staged is None:
        raise Conflict("Nothing is staged for signature.", hint=_unstaged(artifact))
    if staged.sha256 != body.staged_sha256:
        raise StaleVersion(
            "Other bytes are staged now than the ones that were signed.",
            hint="Fetch /staged again, look at what changed, and sign that.",
        )
    if body.keyid not in staged.keyids:
        raise InvalidInput(
            f"Key {body.keyid[:12]} does not count for the role {staged.role}.",
            [f"keyid: not one of {', '.join(keyid[:12] for keyid in staged.keyids)}"],
        )


async def _refuse_unstaged(store: ArtifactStore, artifact_id: str) -> StagedRelease:
    """What waits for signatures. Raises Conflict where nothing does."""
    artifact, staged = await store.get(artifact_id), await store.staged(artifact_id)
    if staged is None or artifact.phase is not ArtifactPhase.AWAITING_SIGNATURES:
        raise Conflict("Nothing is staged for signature.", hint=_unstaged(artifact))
    return staged


async def _staged_reply(store: ArtifactStore, staged: StagedRelease) -> StagedReply:
    return StagedReply.of(staged, tuple(await store.sign_offs(staged.artifact_id)))
