"""The dashboard's page of halts: what stands still and why, and the two buttons that matter."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData

from api.auth import Permission, may
from api.dashboard.actions import form_reason, form_text
from api.dashboard.guard import PageContext, PageRoute
from api.dashboard.pages import render
from api.dashboard.session import check_form
from api.guard import Caller, Services, permit
from api.halts import HaltActs
from storage.errors import InvalidInput
from storage.halt import NEEDED_TO_RESTORE

router = APIRouter(prefix="/halts", include_in_schema=False, route_class=PageRoute)


@router.get("")
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


@router.post("")
@permit(Permission.HALT)
async def halt(request: Request, services: Services, caller: Caller) -> Response:
    """Withdraw the release that the form names, or halt everything."""
    form = await _form(request)
    acts, artifact_id = HaltActs(services, caller), form_text(form, "artifact_id")
    if artifact_id:
        await acts.withdraw(await services.artifacts.get(artifact_id), form_reason(form))
    else:
        await acts.halt_everything(form_reason(form))
    return RedirectResponse("/halts", 303)


@router.post("/restore")
@permit(Permission.HALT_RESTORE)
async def restore(request: Request, services: Services, caller: Caller) -> Response:
    """One person's word that it may go on."""
    form = await _form(request)
    number = form_text(form, "halt_id")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise InvalidInput("The form names no halt.")
    await HaltActs(services, caller).restore(int(number), form_reason(form))
    return RedirectResponse("/halts", 303)


async def _form(request: Request) -> FormData:
    form = await request.form(max_files=0, max_fields=10)
    check_form(request, form_text(form, "proof"))
    return form
