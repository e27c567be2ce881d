"""Firmware passports: what a charger was given to run, by whose leave, and what proved it, signed."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.passports import make_passport, read_passport
from api.replies import IdempotencyKey
from api.schemas.common import Body, ChargerId, Reply, Sentence

router = APIRouter(
    prefix="/api/v1/chargers/{charger_id}/passport", tags=["registry"], route_class=GuardedRoute
)
_Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="As the request for it answered.")]


class PassportBody(Body):
    """Why it is asked for."""

    reason: Sentence = Field(default="nobody said why", description="It is on record, and in the document.")


class PassportReply(Reply):
    """A passport that is there to be fetched."""

    charger_id: str
    sha256: str = Field(description="Of the signed document.")
    asked_at: datetime


@router.post("", status_code=201)
@permit(Permission.AUDIT_READ)
async def sign_passport(
    response: Response,
    services: Services,
    caller: Caller,
    charger_id: ChargerId,
    body: PassportBody,
    key: IdempotencyKey = None,
) -> PassportReply:
    """Have the signer sign what is kept of a charger's firmware, of its approvals, proofs and certificates.

    The document is then at Location. The same Idempotency-Key and body again: the same document.
    """
    sha256 = await make_passport(services, caller, charger_id, body.reason, key)
    response.headers["Location"] = f"/api/v1/chargers/{charger_id}/passport/{sha256}"
    return PassportReply(charger_id=charger_id, sha256=sha256, asked_at=services.clock())


@router.get(
    "/{sha256}",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}, "description": "A DSSE envelope"}},
)
@permit(Permission.AUDIT_READ)
async def get_passport(services: Services, charger_id: ChargerId, sha256: _Sha256) -> Response:
    """The signed document; `ampwave charger verify-passport` checks it anywhere, by the public key alone."""
    data = await read_passport(services, charger_id, sha256)
    return Response(data, media_type="application/json", headers={"Cache-Control": "private, no-store"})
