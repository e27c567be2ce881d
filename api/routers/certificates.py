"""Chargers' certificates: what was issued, what ends when; issuing, renewing and revoking (A02, S53-S57)."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from activities.certificate_end import RevokeOrder
from activities.certificates import HandedIn
from api.acts import audit
from api.auth import Permission
from api.charger_authority import LISTS_PATH
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import Cursor, Limit
from api.schemas.certificates import (
    CertificateReply,
    ChainReply,
    ExpiryReply,
    IssueBody,
    RenewBody,
    RequestQuery,
    RevocationListReply,
    RevokeBody,
    RevokeReply,
    SigningRequestReply,
)
from api.schemas.common import PageReply
from storage.certificate import CertificateFilter, CertificatePhase
from storage.certificate_advice import next_step
from storage.errors import Conflict, InvalidInput

router = APIRouter(prefix="/api/v1/certificates", tags=["certificates"], route_class=GuardedRoute)
_Charger = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9*_=:+|@.\-]{1,48}$")]
_Days = Annotated[int | None, Query(ge=1, le=3650)]


@router.get("")
@permit(Permission.READ)
async def list_certificates(
    services: Services,
    charger_id: _Charger = None,
    phase: CertificatePhase | None = None,
    expires_within_days: _Days = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> PageReply[CertificateReply]:
    """Those that end first come first."""
    before = services.clock() + timedelta(days=expires_within_days) if expires_within_days else None
    wanted = CertificateFilter(charger_id, phase, before)
    page = await services.certificates.find(wanted, limit=limit, cursor=cursor)
    items = tuple(CertificateReply.model_validate(each) for each in page.items)
    return PageReply(items=items, next_cursor=page.next_cursor)


@router.get("/expiries")
@permit(Permission.READ)
async def list_expiries(
    services: Services,
    within_days: Annotated[int, Query(ge=1, le=3650)] = 60,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> PageReply[ExpiryReply]:
    """Chargers by the end of the certificate that they last came with, whoever issued it."""
    before = services.clock() + timedelta(days=within_days)
    found = await services.certificates.expiries(before, limit=limit)
    return PageReply(items=tuple(ExpiryReply.model_validate(each) for each in found))


@router.get("/requests")
@permit(Permission.READ)
async def list_signing_requests(
    services: Services, asked: Annotated[RequestQuery, Query()]
) -> PageReply[SigningRequestReply]:
    """What chargers asked for, what became of it, and why not; newest first."""
    wanted = asked.filter(services.clock())
    page = await services.certificates.find_requests(wanted, limit=asked.limit, cursor=asked.cursor)
    items = tuple(SigningRequestReply.of(each) for each in page.items)
    return PageReply(items=items, next_cursor=page.next_cursor)


@router.get("/lists")
@permit(Permission.READ)
async def list_revocation_lists(services: Services) -> PageReply[RevocationListReply]:
    """The revocation list of each issuer, who issues now first, and its address."""
    found = await services.certificates.lists()
    items = (
        RevocationListReply(
            issuer=each.issuer,
            former=each.former or place > 0,  # whoever signs for one that issued before, or nobody
            number=each.number,
            this_update=each.this_update,
            next_update=each.next_update,
            path=f"{LISTS_PATH}/{each.issuer}.crl",
        )
        for place, each in enumerate(found)
    )
    return PageReply(items=tuple(items))


@router.post("", status_code=201)
@permit(Permission.CHARGER_SECURE)
async def issue_certificate(services: Services, caller: Caller, body: IssueBody) -> ChainReply:
    """Issue a certificate for a signing request that you hand in for a charger, by the rules for all.

    The same request again brings the same certificate. 400 with every reason why it is not issued.
    """
    await services.chargers.get(body.charger_id)
    answer = await services.orchestrator.issue_certificate(HandedIn(body.charger_id, body.csr, caller.name))
    if answer.serial is None:
        raise InvalidInput("The certificate was not issued.", answer.reasons, hint=next_step(answer.reasons))
    return ChainReply.model_validate(await services.certificates.get(body.charger_id, answer.serial))


@router.post("/renew", status_code=202)
@permit(Permission.CHARGER_SECURE)
async def renew_certificate(services: Services, caller: Caller, body: RenewBody) -> RenewBody:
    """Have one charger ask for a new certificate now. How it ends is in its timeline and certificates."""
    link = (await services.chargers.get(body.charger_id)).twin.connectivity
    if link is None or not link.online:
        raise Conflict(
            f"{body.charger_id} is not connected, so it cannot be asked.",
            hint="A renewal of many (`ampwave cert renew-fleet`) waits until it is.",
        )
    await services.orchestrator.renew_certificate(body.charger_id, caller.name)
    await audit(services, caller, "certificate.renewal_started", f"charger/{body.charger_id}")
    return body


@router.post("/revocations")
@permit(Permission.CHARGER_SECURE)
async def revoke_certificates(services: Services, caller: Caller, body: RevokeBody) -> RevokeReply:
    """Take certificates of a charger away at once: refused at the next handshake, open sockets are closed."""
    await services.chargers.get(body.charger_id)
    order = RevokeOrder(body.charger_id, body.serials, body.reason.value, caller.name)
    revoked = await services.orchestrator.revoke_certificates(order)
    return RevokeReply(charger_id=body.charger_id, serials=revoked)
