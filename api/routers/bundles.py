"""Evidence bundles: what is kept of one charger over a span, signed, in one file (F29)."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import IdempotencyKey
from api.schemas.common import Body, ChargerId, Instant, Reply, Sentence
from storage.bundle import LONGEST, BundleOrder, bundle_key
from storage.canonical import digest
from storage.errors import InvalidInput

router = APIRouter(
    prefix="/api/v1/chargers/{charger_id}/evidence", tags=["registry"], route_class=GuardedRoute
)
_SPAN = timedelta(days=30)
BundleId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="As the request for it answered.")]


class BundleBody(Body):
    """Which span, and why. Ends are by our clock."""

    since: Instant | None = Field(default=None, description="Left out: 30 days before the end.")
    until: Instant | None = Field(default=None, description="Not the end itself. Left out: now.")
    reason: Sentence


class BundleReply(Reply):
    """A bundle that is there to be fetched."""

    bundle_id: str
    charger_id: str
    since: datetime
    until: datetime
    lines: int = Field(description="Of evidence.")


@router.post("", status_code=201)
@permit(Permission.AUDIT_READ)
async def make_bundle(
    response: Response,
    services: Services,
    caller: Caller,
    charger_id: ChargerId,
    body: BundleBody,
    key: IdempotencyKey = None,
) -> BundleReply:
    """Have the signer put together and sign what is kept of a charger: errors, timeline, firmware, usage.

    The file is then at Location. The same Idempotency-Key and body again: the same file.
    """
    await services.chargers.get(charger_id)
    until = body.until or services.clock()
    since = body.since or until - _SPAN
    if not since < until or until - since > LONGEST:
        raise InvalidInput(f"The span must be longer than nothing and at most {LONGEST.days} days.")
    # What was asked is part of it: the same key with another span is another file, never the first one's.
    asked = (caller.name, charger_id, key or services.new_id(), body.since, body.until, body.reason)
    bundle_id = digest(asked)
    order = BundleOrder(bundle_id, charger_id, since, until, caller.name, body.reason)
    lines = await services.orchestrator.make_bundle(order)
    response.headers["Location"] = f"/api/v1/chargers/{charger_id}/evidence/{bundle_id}"
    return BundleReply(bundle_id=bundle_id, charger_id=charger_id, since=since, until=until, lines=lines)


@router.get("/{bundle_id}", response_class=Response, responses={200: {"content": {"application/jsonl": {}}}})
@permit(Permission.AUDIT_READ)
async def get_bundle(services: Services, charger_id: ChargerId, bundle_id: BundleId) -> Response:
    """The signed file, JSON lines. Check it anywhere: `ampwave charger verify-evidence FILE`."""
    await services.chargers.get(charger_id)
    length = await services.blobs.length(bundle_key(bundle_id))
    headers = {"Content-Length": str(length), "Cache-Control": "private, no-store"}
    stream = services.blobs.read(bundle_key(bundle_id))
    return StreamingResponse(stream, 200, headers, "application/jsonl")
