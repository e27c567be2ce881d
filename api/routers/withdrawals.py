"""Taking an image or a signing certificate away, and giving it back: one person withdraws, two restore."""

import base64
from collections.abc import Sequence

from fastapi import APIRouter

from api.acts import entry_of
from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import Limit
from api.schemas.common import PageReply
from api.schemas.withdrawals import (
    ListBody,
    ListReply,
    RestoreBody,
    WithdrawalBody,
    WithdrawalReply,
)
from api.withdrawals import restore_subject, withdraw_release, withdraw_subject
from signing.revocation import revoked_subjects
from signing.vendor_signature import certificate_fingerprint
from storage.audit import AuditEntry
from storage.errors import InvalidInput
from storage.withdrawal import Source, Withdrawal, certificate_subject

router = APIRouter(prefix="/api/v1/withdrawals", tags=["artifacts"], route_class=GuardedRoute)


@router.get("")
@permit(Permission.READ)
async def list_withdrawals(services: Services, limit: Limit = 100) -> PageReply[WithdrawalReply]:
    """Newest first, those that were restored, too."""
    found = await services.withdrawals.find(limit=limit)
    return PageReply(items=tuple(WithdrawalReply.model_validate(each) for each in found), next_cursor=None)


@router.post("")
@permit(Permission.ARTIFACT_WITHDRAW)
async def withdraw(services: Services, caller: Caller, body: WithdrawalBody) -> WithdrawalReply:
    """Stop sending an image, or anything under a signing certificate, at once and everywhere.

    Running campaigns halt at their next charger or directive, and downloads of a withdrawn image break off.
    What chargers have installed stays.
    """
    if body.artifact_id is not None:
        standing = await withdraw_release(services, caller, body.artifact_id, body.reason)
    else:
        fingerprint = body.certificate_sha256 or certificate_fingerprint(body.certificate or "")
        subject = certificate_subject(fingerprint)
        standing = await withdraw_subject(services, caller, subject, body.reason)
    return WithdrawalReply.model_validate(standing)


@router.post("/restorations")
@permit(Permission.ARTIFACT_RESTORE)
async def restore(services: Services, caller: Caller, body: RestoreBody) -> WithdrawalReply:
    """Say yes to the return of something withdrawn. It is back when two people have."""
    return WithdrawalReply.model_validate(await restore_subject(services, caller, body.subject))


@router.post("/lists")
@permit(Permission.ARTIFACT_WITHDRAW)
async def take_list(services: Services, caller: Caller, body: ListBody) -> ListReply:
    """Withdraw every certificate that a manufacturer's revocation list names.

    It must be signed by a manufacturer's root of the signed metadata. Nobody can overrule it.
    """
    now = services.clock()
    listed = revoked_subjects(_bytes(body.crl), await services.manufacturer_roots(), now)

    def on_record(new: Sequence[str]) -> AuditEntry:
        act = ("certificate.list_taken", "certificates")
        return entry_of(caller, now, act, listed=len(listed), new=len(new))

    rows = [Withdrawal(subject, why, Source.LIST, caller.name, now) for subject, why in listed.items()]
    new = await services.withdrawals.add(rows, on_record)
    return ListReply(listed=len(listed), withdrawn=len(new))


def _bytes(crl: str) -> bytes:
    if crl.lstrip().startswith("-----BEGIN"):
        return crl.encode()
    try:
        return base64.b64decode(crl, validate=True)
    except ValueError as error:  # binascii.Error, or letters that are not ASCII
        raise InvalidInput("The list was not taken.", ["crl: neither PEM nor DER in base64"]) from error
