"""New certificates for many chargers, in waves: begin, look, pause, resume, abort (F40).

Changes of roots, passwords, profiles and networks go the same way, and are looked at and steered here.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from api.acts import audit
from api.auth import Permission
from api.errors import KeyReused
from api.guard import Caller, GuardedRoute, Services, permit
from api.once import bind
from api.ports import ApiServices
from api.replies import Cursor, IdempotencyKey, Limit, update_id
from api.schemas.certificates import RenewalBody, RenewalReply, RenewalTargetReply, SteerBody
from api.schemas.common import PageReply
from storage.access import Principal
from storage.charger import ChargerFilter
from storage.errors import InvalidInput, NotFound
from storage.renewal import (
    WORK_WORDS,
    Renewal,
    RenewalOutcome,
    RenewalPhase,
    RenewalPlan,
    outcome_word,
)
from storage.twin import Lifecycle
from workflows.signals import PersonRequest

router = APIRouter(prefix="/api/v1/renewals", tags=["certificates"], route_class=GuardedRoute)
RenewalId = Annotated[str, Path(pattern=r"^[A-Za-z0-9\-]{1,64}$")]
MOST = 100_000
_PAGE = 500


@router.post("", status_code=202)
@permit(Permission.CHARGER_SECURE)
async def create_renewal(
    response: Response, services: Services, caller: Caller, body: RenewalBody, key: IdempotencyKey = None
) -> RenewalReply:
    """Renew the certificates of these chargers: named, found by a query, or by when theirs end."""
    renewal_id = update_id("renewal", caller.name, key) if key else services.new_id()
    chosen = await chosen_chargers(services, body)
    stored = await open_renewal(services, caller, renewal_id, plan_from(body), chosen)
    response.headers["Location"] = f"/api/v1/renewals/{stored.renewal_id}"
    return reply(stored)


@router.get("")
@permit(Permission.READ)
async def list_renewals(
    services: Services, limit: Limit = 50, cursor: Cursor = None
) -> PageReply[RenewalReply]:
    """Newest first."""
    page = await services.renewals.find(limit=limit, cursor=cursor)
    return PageReply(items=tuple(reply(each) for each in page.items), next_cursor=page.next_cursor)


@router.get("/{renewal_id}")
@permit(Permission.READ)
async def get_renewal(services: Services, renewal_id: RenewalId) -> RenewalReply:
    """One renewal, with how many of its chargers are where."""
    return reply(await services.renewals.get(renewal_id))


@router.get("/{renewal_id}/chargers")
@permit(Permission.READ)
async def list_targets(
    services: Services,
    renewal_id: RenewalId,
    limit: Limit = 100,
    after: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
) -> PageReply[RenewalTargetReply]:
    """What became of a renewal, charger by charger; ``after``: the last ordinal of the page before."""
    await services.renewals.get(renewal_id)
    found = await services.renewals.targets(renewal_id, limit=limit, after=after)
    return PageReply(items=tuple(RenewalTargetReply.model_validate(each) for each in found))


@router.post("/{renewal_id}/pause")
@permit(Permission.CHARGER_SECURE)
async def pause_renewal(
    services: Services, caller: Caller, renewal_id: RenewalId, body: SteerBody, key: IdempotencyKey = None
) -> RenewalReply:
    """Start no more chargers; those at work go on to their end."""
    return await _steer(services, caller, (renewal_id, "pause"), body.reason, key)


@router.post("/{renewal_id}/resume")
@permit(Permission.CHARGER_SECURE)
async def resume_renewal(
    services: Services, caller: Caller, renewal_id: RenewalId, body: SteerBody, key: IdempotencyKey = None
) -> RenewalReply:
    """Go on after a pause, or pass a gate that holds."""
    return await _steer(services, caller, (renewal_id, "resume"), body.reason, key)


@router.post("/{renewal_id}/abort")
@permit(Permission.CHARGER_SECURE)
async def abort_renewal(
    services: Services, caller: Caller, renewal_id: RenewalId, body: SteerBody, key: IdempotencyKey = None
) -> RenewalReply:
    """Start nothing more, ever; chargers keep what they have."""
    return await _steer(services, caller, (renewal_id, "abort"), body.reason, key)


async def _steer(
    services: ApiServices, caller: Principal, what: tuple[str, str], reason: str, key: str | None
) -> RenewalReply:
    renewal_id, act = what
    await services.renewals.get(renewal_id)
    once = update_id(act, caller.name, key) if key else services.new_id()
    if key:
        await bind(services, f"renewal/{renewal_id}/{once}", reason)
    await services.orchestrator.steer_renewal(renewal_id, act, PersonRequest(caller.name, reason), once)
    return reply(await services.renewals.get(renewal_id))


async def open_renewal(
    services: ApiServices, caller: Principal, renewal_id: str, plan: RenewalPlan, chosen: Sequence[str]
) -> Renewal:
    """Write it down, once, and start it."""
    new = Renewal(
        renewal_id, plan, RenewalPhase.RUNNING, "it has begun", caller.name, services.clock(), len(chosen), 0
    )
    stored = await _known(services, renewal_id)
    if stored is None:
        stored = await services.renewals.create(new, chosen)
        said = {"work": plan.work.value, "chargers": len(chosen)}
        await audit(services, caller, "renewal.created", f"renewal/{renewal_id}", **said)
    elif (stored.plan, stored.chargers) != (plan, len(chosen)):
        raise KeyReused
    await services.orchestrator.start_renewal(renewal_id)
    return stored


_WHO = ("charger_ids", "query", "expires_within_days")
_PACE = frozenset(RenewalBody.model_fields) - set(_WHO)


def plan_from(body: RenewalBody, **more: Any) -> RenewalPlan:
    """The plan in a body; ``more``: what is to be done beside a renewal."""
    return RenewalPlan(**body.model_dump(include=set(_PACE)), **more)


async def _known(services: ApiServices, renewal_id: str) -> Renewal | None:
    try:
        return await services.renewals.get(renewal_id)
    except NotFound:
        return None


async def chosen_chargers(services: ApiServices, body: RenewalBody) -> list[str]:
    """Who is meant, each once. Raises InvalidInput where nobody is, somebody does not exist, or too many."""
    ways = [bool(body.charger_ids), body.query is not None, body.expires_within_days is not None]
    if sum(ways) != 1:
        raise InvalidInput(
            "It is not said which chargers are meant.",
            ["name exactly one of charger_ids, query, expires_within_days"],
        )
    if body.charger_ids:
        return await _named(services, body.charger_ids)
    if body.expires_within_days is not None:
        before = services.clock() + timedelta(days=body.expires_within_days)
        found = [each.charger_id for each in await services.certificates.expiries(before, limit=MOST)]
    else:
        found = await _matching(services, body.query)
    if not found:
        raise InvalidInput(
            "No charger matches.", hint="See them: ampwave charger list, or ampwave cert expiries."
        )
    return found


async def _named(services: ApiServices, charger_ids: Sequence[str]) -> list[str]:
    wanted, known = list(dict.fromkeys(charger_ids)), set[str]()
    for start in range(0, len(wanted), _PAGE):
        views = await services.chargers.views(wanted[start : start + _PAGE])
        known |= {view.charger.charger_id for view in views}
    if missing := [each for each in wanted if each not in known]:
        problems = [f"{each}: unknown" for each in missing[:50]]
        raise InvalidInput(f"{len(missing)} of these chargers do not exist.", problems)
    return wanted


async def _matching(services: ApiServices, query: str | None) -> list[str]:
    chosen: list[str] = []
    cursor: str | None = None
    while True:
        page = await services.chargers.find(ChargerFilter(query=query), limit=_PAGE, cursor=cursor)
        chosen += [
            view.charger.charger_id for view in page.items if view.charger.lifecycle is not Lifecycle.RETIRED
        ]
        cursor = page.next_cursor
        if len(chosen) > MOST:
            raise InvalidInput(f"These are more than {MOST} chargers.", hint="Make smaller renewals.")
        if cursor is None:
            return chosen


def reply(renewal: Renewal) -> RenewalReply:
    """As the door shows it."""
    return RenewalReply(
        renewal_id=renewal.renewal_id,
        name=renewal.plan.name,
        work=renewal.plan.work,
        title=WORK_WORDS[renewal.plan.work].title,
        labels={each.value: outcome_word(renewal.plan.work, each) for each in RenewalOutcome},
        phase=renewal.phase,
        reason=renewal.reason,
        created_by=renewal.created_by,
        created_at=renewal.created_at,
        finished_at=renewal.finished_at,
        chargers=renewal.chargers,
        waves=renewal.waves,
        counts=renewal.counts,
    )
