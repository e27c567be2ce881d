"""Incidents and configuration jobs as pages, and closing an incident by hand."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.acts import close_incident
from api.auth import Permission, may
from api.dashboard.actions import reason_of, text_of
from api.dashboard.guard import PageContext, PageRoute
from api.dashboard.pages import page
from api.dashboard.session import check_form
from api.guard import Caller, Services, permit
from api.replies import Cursor
from storage.access import Principal
from storage.incident import Incident, IncidentKind

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_ROWS = 100
_Number = Annotated[int, Path(ge=1, lt=2**63)]
_JobId = Annotated[str, Path(pattern=r"^[A-Za-z0-9\-]{1,64}$")]


@router.get("/incidents")
@permit(Permission.READ)
async def incidents(
    services: Services,
    caller: Caller,
    context: PageContext,
    closed: Annotated[bool, Query()] = False,  # noqa: FBT002 - its name in the query string
) -> Response:
    """What a person should know of, latest first."""
    found = await services.watch.incidents.find(open_only=not closed, limit=_ROWS)
    closable = {each.incident_id for each in found if _may_close(caller, each)}
    return page(
        "incidents.html", context, incidents=found, closable=closable, closed=closed, now=services.clock()
    )


@router.post("/incidents/{incident_id}/close")
@permit(Permission.INCIDENT_CLOSE)
async def close(request: Request, services: Services, caller: Caller, incident_id: _Number) -> Response:
    """Say that one is over, and why."""
    form = await request.form(max_files=0, max_fields=5)
    check_form(request, text_of(form, "proof"))
    await close_incident(services, caller, incident_id, reason_of(form))
    return RedirectResponse("/incidents", 303)


@router.get("/configurations")
@permit(Permission.READ)
async def jobs(services: Services, context: PageContext) -> Response:
    """Jobs that bring values to many chargers, latest first."""
    found = await services.twins.configurations(limit=_ROWS)
    return page("jobs.html", context, jobs=found, now=services.clock())


@router.get("/configurations/{configuration_id}")
@permit(Permission.READ)
async def job(
    services: Services, context: PageContext, configuration_id: _JobId, cursor: Cursor = None
) -> Response:
    """One job, charger by charger."""
    found = await services.twins.configuration(configuration_id)
    lines = await services.twins.configuration_lines(configuration_id, limit=_ROWS, cursor=cursor)
    return page("job.html", context, job=found, lines=lines, now=services.clock())


def _may_close(caller: Principal, incident: Incident) -> bool:
    if incident.closed_at is not None or not may(caller, Permission.INCIDENT_CLOSE):
        return False
    grave = incident.kind is IncidentKind.SUSPECTED_INTRUSION
    return may(caller, Permission.TWIN_CONTROL) if grave else True
