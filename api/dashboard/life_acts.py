"""Buttons on the pages of chargers' lives: the same acts as the HTTP api, behind the same permissions."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.datastructures import FormData

from api.auth import Permission
from api.dashboard.actions import reason_of, text_of
from api.dashboard.guard import PageRoute
from api.dashboard.life import as_file
from api.dashboard.pages import segment
from api.dashboard.session import check_form
from api.enrolling import store_of
from api.guard import Caller, Services, permit
from api.passports import make_passport, read_passport
from api.routers.certificates import renew_certificate
from api.routers.provisioning import attest as attest_line
from api.routers.provisioning import visit_charger
from api.schemas.certificates import RenewBody
from api.schemas.common import ChargerId, Sha256
from api.schemas.provisioning import AttestationBody
from storage.errors import InvalidInput
from storage.quarantine import QuarantineAct
from workflows.signals import PersonRequest

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_RenewalId = Annotated[str, Path(pattern=r"^[A-Za-z0-9\-]{1,64}$")]


@router.post("/life/renewals/{renewal_id}/{act}")
@permit(Permission.CHARGER_SECURE)
async def steer(
    request: Request,
    services: Services,
    caller: Caller,
    renewal_id: _RenewalId,
    act: Annotated[str, Path(pattern="^(pause|resume|abort)$")],
) -> Response:
    """Pause, resume or abort a renewal."""
    form = await _form(request)
    await services.renewals.get(renewal_id)
    once = text_of(form, "key") or services.new_id()
    said = PersonRequest(caller.name, reason_of(form))
    await services.orchestrator.steer_renewal(renewal_id, act, said, once)
    return RedirectResponse(f"/life/renewals/{renewal_id}", 303)


@router.post("/life/certificates/{charger_id}/renew")
@permit(Permission.CHARGER_SECURE)
async def renew(request: Request, services: Services, caller: Caller, charger_id: ChargerId) -> Response:
    """Have one charger ask for a new certificate now."""
    await _form(request)
    await renew_certificate(services, caller, RenewBody(charger_id=charger_id))
    return RedirectResponse(f"/chargers/{segment(charger_id)}", 303)


@router.post("/life/provisioning/{charger_id}/visit")
@permit(Permission.CHARGER_OPERATE)
async def visit(request: Request, services: Services, charger_id: ChargerId) -> Response:
    """See now how far it can go."""
    await _form(request)
    await visit_charger(services, charger_id)
    return RedirectResponse("/life/provisioning", 303)


@router.post("/life/provisioning/{charger_id}/attest")
@permit(Permission.CHARGER_ATTEST)
async def attest(request: Request, services: Services, caller: Caller, charger_id: ChargerId) -> Response:
    """What was measured at the charger, in the caller's name."""
    form = await _form(request)
    result = text_of(form, "result")
    given = {"name": text_of(form, "name"), "passed": result == "passed", "value": text_of(form, "value")}
    try:
        body = AttestationBody.model_validate(given)
    except ValidationError:
        body = None
    if body is None or result not in ("passed", "failed"):
        raise InvalidInput("The form does not say what was measured.", hint="Load the page again.")
    await attest_line(services, caller, charger_id, body)
    return RedirectResponse("/life/provisioning", 303)


@router.post("/life/quarantine/{charger_id}/release")
@permit(Permission.TWIN_CONTROL)
async def release(request: Request, services: Services, caller: Caller, charger_id: ChargerId) -> Response:
    """Take a charger back."""
    form = await _form(request)
    act = QuarantineAct(charger_id, caller.name, reason_of(form), services.clock())
    await store_of(services).take_back(act)
    return RedirectResponse("/life/quarantine", 303)


@router.post("/chargers/{charger_id}/passport")
@permit(Permission.AUDIT_READ)
async def sign_passport(
    request: Request, services: Services, caller: Caller, charger_id: ChargerId
) -> Response:
    """Have its firmware passport signed, and go to the file."""
    form = await _form(request)
    key = text_of(form, "key") or None
    sha256 = await make_passport(services, caller, charger_id, "asked for on the dashboard", key)
    return RedirectResponse(f"/chargers/{segment(charger_id)}/passport/{sha256}.json", 303)


@router.get("/chargers/{charger_id}/passport/{sha256}.json")
@permit(Permission.AUDIT_READ)
async def passport(services: Services, charger_id: ChargerId, sha256: Sha256) -> Response:
    """A signed passport as a file."""
    data = await read_passport(services, charger_id, sha256)
    return as_file(Response(data, media_type="application/json"), f"{charger_id}.passport.json")


async def _form(request: Request) -> FormData:
    form = await request.form(max_files=0, max_fields=10)
    check_form(request, text_of(form, "proof"))
    return form
