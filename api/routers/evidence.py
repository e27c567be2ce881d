"""Evidence of an artifact: SBOM, provenance, VEX, and the signed verdict on them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response

from api.auth import Permission
from api.evidence import EvidenceActs
from api.guard import Caller, GuardedRoute, Services, permit
from api.schemas.artifacts import EvidenceReply
from api.schemas.common import Sha256
from signing.sbom import MAX_SBOM
from storage.errors import NotFound
from storage.evidence import EvidenceKind, evidence_key

router = APIRouter(
    prefix="/api/v1/artifacts/{artifact_id}/evidence", tags=["artifacts"], route_class=GuardedRoute
)
Supplied = Annotated[Literal["sbom", "provenance", "vex"], Path(description="What people bring.")]
_DOCUMENT: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/json": {"schema": {"type": "object"}}},
        "description": "As it was brought.",
    }
}


@router.get("")
@permit(Permission.READ)
async def list_evidence(services: Services, artifact_id: Sha256) -> tuple[EvidenceReply, ...]:
    """What the artifact carries. ``vsa`` is our own verdict on the rest."""
    artifact = await services.artifacts.get(artifact_id)
    return tuple(EvidenceReply.model_validate(ref) for ref in artifact.evidence)


@router.get("/{kind}", response_class=Response, responses=_BYTES)
@permit(Permission.READ)
async def get_evidence(services: Services, artifact_id: Sha256, kind: EvidenceKind) -> Response:
    """One piece, byte for byte."""
    ref = (await services.artifacts.get(artifact_id)).piece(kind)
    if ref is None:
        raise NotFound(f"{kind.value} of artifact", artifact_id, hint="See what there is: GET the list.")
    data, _ = await services.blobs.get(evidence_key(ref.sha256), limit=MAX_SBOM)
    return Response(data, media_type="application/json", headers={"ETag": f'"{ref.sha256}"'})


@router.put("/{kind}", openapi_extra=_DOCUMENT)
@permit(Permission.EVIDENCE_WRITE, body_limit="evidence_bytes")
async def put_evidence(
    request: Request, services: Services, caller: Caller, artifact_id: Sha256, kind: Supplied
) -> tuple[EvidenceReply, ...]:
    """Bring a piece, or another in its place. It is judged anew, and signatures over the old are void."""
    acts = EvidenceActs(services, caller, artifact_id)
    changed = await acts.add(EvidenceKind(kind), await request.body())
    return tuple(EvidenceReply.model_validate(ref) for ref in changed.evidence)


@router.delete("/{kind}")
@permit(Permission.EVIDENCE_WRITE)
async def delete_evidence(
    services: Services, caller: Caller, artifact_id: Sha256, kind: Supplied
) -> tuple[EvidenceReply, ...]:
    """Take a piece away; what the policy asks for is then missing, and says so."""
    changed = await EvidenceActs(services, caller, artifact_id).remove(EvidenceKind(kind))
    return tuple(EvidenceReply.model_validate(ref) for ref in changed.evidence)
