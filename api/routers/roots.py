"""Roots that chargers know the server by: installed in waves, asked after, deleted once not needed (M03-M05).

In this order, so that nobody is left behind: install the new root, see that everybody has it, show the new
chain on every node, see that everybody came back, delete the old root.
"""

from fastapi import APIRouter, Response

from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.ports import ApiServices
from api.replies import IdempotencyKey, update_id
from api.routers.renewals import chosen_chargers, open_renewal, plan_from, reply
from api.schemas.certificates import (
    RenewalReply,
    RootDeleteBody,
    RootInstallBody,
    RootReadyBody,
    RootReadyReply,
)
from csms.pki.roots import root_hashes, root_problem
from storage.certificate_use import CertificateUse
from storage.charger import ChargerFilter
from storage.errors import InvalidInput
from storage.ports import ChargerView
from storage.renewal import FleetWork, spelled
from storage.twin import Lifecycle

router = APIRouter(prefix="/api/v1/roots", tags=["certificates"], route_class=GuardedRoute)
_PAGE, _SHOWN = 500, 1000


@router.post("/installations", status_code=202)
@permit(Permission.CHARGER_SECURE)
async def install_root(
    response: Response, services: Services, caller: Caller, body: RootInstallBody, key: IdempotencyKey = None
) -> RenewalReply:
    """Give chargers a root, a canary first; each has it once it lists it. What is no root is refused."""
    more = {"work": FleetWork.INSTALL_ROOT, "root": body.root, "root_names": _names(services, body.root)}
    renewal_id = update_id("root", caller.name, key) if key else services.new_id()
    chosen = await chosen_chargers(services, body)
    stored = await open_renewal(services, caller, renewal_id, plan_from(body, **more), chosen)
    response.headers["Location"] = f"/api/v1/renewals/{renewal_id}"
    return reply(stored)


@router.post("/deletions", status_code=202)
@permit(Permission.CHARGER_SECURE)
async def delete_root(
    response: Response, services: Services, caller: Caller, body: RootDeleteBody, key: IdempotencyKey = None
) -> RenewalReply:
    """Take an old root away, of those chargers alone that came under the new chain and list its root."""
    old, new = _names(services, body.old_root, still=False), _names(services, body.new_root)
    if set(old) & set(new):
        raise InvalidInput("The old root and the new one are the same.")
    if body.switched_at > services.clock():
        raise InvalidInput("The new chain is not shown yet.", ["switched_at: lies ahead"])
    more = {"work": FleetWork.DELETE_ROOT, "root": body.new_root, "root_names": old, "keep_names": new}
    plan = plan_from(body, switched_at=body.switched_at.isoformat(), **more)
    renewal_id = update_id("root", caller.name, key) if key else services.new_id()
    stored = await open_renewal(services, caller, renewal_id, plan, await chosen_chargers(services, body))
    response.headers["Location"] = f"/api/v1/renewals/{renewal_id}"
    return reply(stored)


@router.post("/readiness")
@permit(Permission.CHARGER_SECURE)
async def root_readiness(services: Services, body: RootReadyBody) -> RootReadyReply:
    """Who would come back under a chain of this root: before the switch, nobody may be missing.

    By what chargers listed last; those of security profile 1 know the server by no root and do not count.
    """
    known = set(_short(services, body.root))
    trusting, missing = 0, list[str]()
    cursor: str | None = None
    while True:
        page = await services.chargers.find(ChargerFilter(), limit=_PAGE, cursor=cursor)
        for view in filter(_counts, page.items):
            security = view.twin.security
            if security is not None and known & set(map(_plain, security.roots)):
                trusting += 1
            else:
                missing.append(view.charger.charger_id)
        cursor = page.next_cursor
        if cursor is None:
            return RootReadyReply(
                trusting=trusting, missing=len(missing), missing_chargers=tuple(missing[:_SHOWN])
            )


def _counts(view: ChargerView) -> bool:
    over_tls = view.twin.security is not None and view.twin.security.profile > 1
    return over_tls and view.charger.lifecycle is not Lifecycle.RETIRED


def _names(services: ApiServices, pem: str, *, still: bool = True) -> tuple[str, ...]:
    problem = root_problem(pem, services.clock())
    if problem and (still or "it holds from" not in problem):
        raise InvalidInput("This is no root that chargers can be given.", [problem])
    return tuple(spelled(each) for each in root_hashes(pem))


def _short(services: ApiServices, pem: str) -> list[str]:
    """As twins list installed roots."""
    _names(services, pem)
    use = CertificateUse.CSMS_ROOT.value
    return [_plain(f"{use}/{each.issuer_key_hash}/{each.serial_number}") for each in root_hashes(pem)]


def _plain(listed: str) -> str:
    """However a charger spells its digits."""
    use, _, rest = listed.partition("/")
    key, _, serial = rest.lower().partition("/")
    return f"{use}/{key}/{serial.lstrip('0')}"
