"""The dashboard's page of halts: what stands still and why, and the buttons that stop."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData

from api.auth import Permission, may
from api.dashboard.actions import reason_of, text_of
from api.dashboard.guard import PageContext, PageRoute
from api.dashboard.pages import render
from api.dashboard.session import check_form
from api.guard import Caller, Services, permit
from api.halts import HaltActs
from api.schemas.common import Sha256
from api.withdrawals import restore_subject, withdraw_release
from storage.errors import InvalidInput
from storage.halt import NEEDED_TO_RESTORE

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/halts")
@permit(Permission.READ)
async def halts_page(services: Services, caller: Caller, context: PageContext) -> Response:
    """Every halt, those in force first."""
    recent = await services.halts.recent(limit=50)
    page = render(
        "halts.html",
        **context,
        recent=sorted(recent, key=lambda halt: halt.lifted_at is not None),
        needed=NEEDED_TO_RESTORE,
        may_halt=may(caller, Permission.HALT),
        may_restore=may(caller, Permission.HALT_RESTORE),
        now=services.clock(),
    )
    return HTMLResponse(page, headers={"Cache-Control": "no-store"})


@router.post("/halts")
@permit(Permission.HALT)
async def halt(request: Request, services: Services, caller: Caller) -> Response:
    """Halt everything."""
    form = await _form(request)
    await HaltActs(services, caller).halt_everything(reason_of(form))
    return RedirectResponse("/halts", 303)


@router.post("/halts/restore")
@permit(Permission.HALT_RESTORE)
async def restore(request: Request, services: Services, caller: Caller) -> Response:
    """One person's word that it may go on."""
    form = await _form(request)
    number = text_of(form, "halt_id")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise InvalidInput("The form names no halt.")
    await HaltActs(services, caller).restore(int(number), reason_of(form))
    return RedirectResponse("/halts", 303)


@router.post("/artifacts/{artifact_id}/withdraw")
@permit(Permission.ARTIFACT_WITHDRAW)
async def withdraw(request: Request, services: Services, caller: Caller, artifact_id: Sha256) -> Response:
    """Withdraw one release."""
    form = await _form(request)
    await withdraw_release(services, caller, artifact_id, reason_of(form))
    return RedirectResponse(f"/artifacts/{artifact_id}", 303)


@router.post("/artifacts/{artifact_id}/restore")
@permit(Permission.ARTIFACT_RESTORE)
async def restore_withdrawn(
    request: Request, services: Services, caller: Caller, artifact_id: Sha256
) -> Response:
    """One person's yes to the return of the release, or of the certificate that it is sent with."""
    form = await _form(request)
    await restore_subject(services, caller, text_of(form, "subject"))
    return RedirectResponse(f"/artifacts/{artifact_id}", 303)


async def _form(request: Request) -> FormData:
    form = await request.form(max_files=0, max_fields=10)
    check_form(request, text_of(form, "proof"))
    return form
