"""Chargers' lives as pages: certificates that end, renewals, the queue of new ones, quarantine, the end."""

from datetime import UTC, date, datetime, time
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from api.auth import Permission, may
from api.dashboard import life_views as views
from api.dashboard.guard import PageContext, PageRoute
from api.dashboard.pages import page
from api.enrolling import store_of as enrolments_of
from api.guard import Caller, Services, permit
from api.replies import Cursor
from api.routers.retirements import get_receipt, store_of
from api.schemas.common import ChargerId
from storage.certificate_advice import next_step, step_after
from storage.charger import ChargerFilter
from storage.drift import Drift, DriftState
from storage.quarantine import ALLOWED
from storage.twin_schema import Severity

router = APIRouter(prefix="/life", include_in_schema=False, route_class=PageRoute)
ROWS = 100
QUARANTINED = 50
STRANGERS = 20
REFUSED = 20
_RenewalId = Annotated[str, Path(pattern=r"^[A-Za-z0-9\-]{1,64}$")]


class Asked(BaseModel):
    """Which line of the calendar."""

    by: views.Step = views.Step.WEEK
    ended: bool = False
    since: date | None = None
    until: date | None = None
    cursor: Annotated[str | None, Field(max_length=512)] = None


@router.get("")
@permit(Permission.READ)
async def certificates(
    services: Services,
    caller: Caller,
    context: PageContext,
    asked: Annotated[Asked, Query()],
) -> Response:
    """The expiry calendar, and the chargers of one line of it, or of all that ended or end next."""
    now, store, by = services.clock(), services.certificates, asked.by
    horizon = now + views.AHEAD[by]
    counts, ended = await store.calendar(horizon), await store.calendar(now)
    before = min(_midnight(asked.until), horizon) if asked.until else horizon
    since = _midnight(asked.since) if asked.since else None
    if asked.ended:
        since, before = None, now
    found = await store.ending(since, before, limit=ROWS, cursor=asked.cursor)
    names = [each.charger_id for each in found.items]
    hands = views.Hands(await services.renewals.in_any(names), await services.renewals.standing_still(names))
    refused = await store.find_requests(views.refused_lately(now), limit=REFUSED)
    return page(
        "life_certificates.html",
        context,
        by=by,
        buckets=views.calendar(counts, ended, now, by, services.renewing),
        total=sum(each.count for each in counts),
        rows=views.end_rows(found.items, hands, now, services.renewing),
        next_cursor=found.next_cursor,
        refused=refused.items,
        next_step=next_step,
        asked=asked,
        rules=services.renewing,
        may_secure=may(caller, Permission.CHARGER_SECURE),
        now=now,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@router.get("/renewals")
@permit(Permission.READ)
async def renewals(services: Services, context: PageContext, cursor: Cursor = None) -> Response:
    """Renewals and root changes of many chargers, newest first."""
    found = await services.renewals.find(limit=50, cursor=cursor)
    return page("life_renewals.html", context, found=found, views=views, now=services.clock())


@router.get("/renewals/{renewal_id}")
@permit(Permission.READ)
async def renewal(
    services: Services,
    caller: Caller,
    context: PageContext,
    renewal_id: _RenewalId,
    after: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
) -> Response:
    """One of them: its waves, and every charger with its reason."""
    found = await services.renewals.get(renewal_id)
    waves = [await services.renewals.counts(renewal_id, wave) for wave in range(found.waves)]
    lines = await services.renewals.targets(renewal_id, limit=ROWS + 1, after=after)
    steer = views.steps_open_to(found.phase) if may(caller, Permission.CHARGER_SECURE) else ()
    return page(
        "life_renewal.html",
        context,
        renewal=found,
        waves=[each.outcomes | {"open": each.open} for each in waves],
        lines=lines[:ROWS],
        following=lines[ROWS - 1].ordinal if len(lines) > ROWS else None,
        steer=steer,
        needs=views.roles_with(Permission.CHARGER_SECURE) if views.steps_open_to(found.phase) else "",
        key=services.new_id(),
        step_after=step_after,
        views=views,
        now=services.clock(),
    )


@router.get("/provisioning")
@permit(Permission.READ)
async def provisioning(
    services: Services, caller: Caller, context: PageContext, cursor: Cursor = None
) -> Response:
    """Chargers on their way in, what each waits for, and the act that moves it on."""
    store = enrolments_of(services)
    found = await store.waiting(limit=ROWS, cursor=cursor)
    return page(
        "life_provisioning.html",
        context,
        queue=[(each, views.next_step(each, caller)) for each in found.items],
        next_cursor=found.next_cursor,
        standing=await store.standing(),
        strangers=await store.strangers(limit=STRANGERS),
        now=services.clock(),
    )


@router.get("/quarantine")
@permit(Permission.READ)
async def quarantine(
    services: Services, caller: Caller, context: PageContext, cursor: Cursor = None
) -> Response:
    """Chargers that are set aside, and what keeps each there."""
    where = ChargerFilter(query="lifecycle = quarantined")
    found = await services.chargers.find(where, limit=QUARANTINED, cursor=cursor)
    rows = [(view, await _doubts(services, view.charger.charger_id)) for view in found.items]
    return page(
        "life_quarantine.html",
        context,
        rows=rows,
        next_cursor=found.next_cursor,
        allowed=ALLOWED,
        may_release=may(caller, Permission.TWIN_CONTROL),
        needs=views.roles_with(Permission.TWIN_CONTROL),
        now=services.clock(),
    )


async def _doubts(services: Services, charger_id: str) -> tuple[Drift, ...]:
    found = await services.twins.drifts(
        charger_id=charger_id, states=(DriftState.OPEN,), severity=Severity.CRITICAL, limit=10
    )
    return found.items


@router.get("/retired")
@permit(Permission.READ)
async def retired(services: Services, context: PageContext, cursor: Cursor = None) -> Response:
    """Chargers that end or have ended, each with its receipt."""
    found = await store_of(services).page(limit=50, cursor=cursor)
    return page("life_retired.html", context, found=found, views=views, now=services.clock())


@router.get("/retired/{charger_id}/receipt.json")
@permit(Permission.READ)
async def receipt(services: Services, charger_id: ChargerId) -> Response:
    """The signed receipt as a file."""
    answer = await get_receipt(services, charger_id)
    return as_file(answer, f"{charger_id}.receipt.json")


def as_file(answer: Response, name: str) -> Response:
    """To be saved, under a name that every system takes."""
    safe = "".join(each if (each.isalnum() and each.isascii()) or each in "._-" else "_" for each in name)
    answer.headers["Content-Disposition"] = f'attachment; filename="{safe}"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
