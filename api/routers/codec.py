"""Lets the Temporal UI of this deployment show decrypted payloads to people who may read.

The browser asks from the UI's own origin: with a bearer token, or with the dashboard's session, which it
sends because both addresses are one site. Only that origin may read the answer.
"""

from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads

from api.auth import Permission, require
from api.dashboard.session import session_principal
from api.errors import Unauthenticated
from api.guard import Services, admit, bounded
from api.ports import ApiServices
from api.problems import refusal
from storage.errors import AmpwaveError, InvalidInput

router = APIRouter(tags=["codec"], include_in_schema=False)


@router.post("/codec/decode")
async def decode(request: Request, services: Services) -> Response:
    """Decode payloads in Temporal's JSON form (`{"payloads": [...]}`)."""
    try:
        reply = await _decoded(request, services)
    except AmpwaveError as error:
        reply = refusal(request, error)
    # Refusals, too: without these the UI says that nobody answered.
    reply.headers.update(_cors(request, services))
    return reply


async def _decoded(request: Request, services: ApiServices) -> Response:
    await _admit_reader(request, services)
    try:
        body = await bounded(request, "body_bytes").body()
        given = json_format.Parse(body, Payloads())
    except (json_format.ParseError, UnicodeDecodeError):
        raise InvalidInput("The body is not Temporal's payloads in JSON.") from None
    plain = await services.decode_payloads(list(given.payloads))
    return Response(
        json_format.MessageToJson(Payloads(payloads=plain)),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@router.options("/codec/decode")
async def preflight(request: Request, services: Services) -> Response:
    """Tell the Temporal UI's browser page that it may ask."""
    return Response(status_code=204, headers=_cors(request, services))


async def _admit_reader(request: Request, services: ApiServices) -> None:
    if request.headers.get("authorization"):
        await admit(request, Permission.READ)
        return
    if not _cors(request, services):
        raise Unauthenticated
    principal = await session_principal(request)
    if principal is None:
        raise Unauthenticated
    require(principal, Permission.READ)


def _cors(request: Request, services: ApiServices) -> dict[str, str]:
    origin = request.headers.get("origin", "")
    if not services.temporal_ui_url or origin != _origin(services.temporal_ui_url):
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "content-type, authorization, x-namespace",
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
