"""Who is calling and what that role may do. Deny by default: a role holds only what the table gives it."""

import base64
import hmac
import re
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from api.errors import Forbidden, TokenRefused, Unauthenticated
from storage.access import Principal, Role, Token
from storage.canonical import sha256_hex
from storage.ports import TokenStore

_TOKEN = re.compile(r"amp_(?P<token_id>[A-Za-z0-9\-]{1,64})_(?P<secret>[A-Za-z0-9_\-]{16,128})")


class Permission(StrEnum):
    """What can be allowed; every route names exactly one, and an act may ask for a second."""

    READ = "read"
    AUDIT_READ = "audit.read"
    ARTIFACT_UPLOAD = "artifact.upload"
    ARTIFACT_SIGN = "artifact.sign"
    EVIDENCE_WRITE = "evidence.write"
    ARTIFACT_WITHDRAW = "artifact.withdraw"
    ARTIFACT_RESTORE = "artifact.restore"
    CAMPAIGN_PLAN = "campaign.plan"
    CAMPAIGN_CREATE = "campaign.create"
    CAMPAIGN_APPROVE = "campaign.approve"
    CAMPAIGN_PAUSE = "campaign.pause"
    CAMPAIGN_RESUME = "campaign.resume"
    CAMPAIGN_ABORT = "campaign.abort"
    CAMPAIGN_ROLLBACK = "campaign.rollback"
    CAMPAIGN_PROCEED = "campaign.proceed"
    CAMPAIGN_EXTEND = "campaign.extend"
    """Move the end that others approved to a later time."""
    CAMPAIGN_SKIP = "campaign.skip"
    HALT = "halt"
    """Break the glass: withdraw a release, or halt everything."""
    HALT_RESTORE = "halt.restore"
    FLEET_WRITE = "fleet.write"
    CHARGER_HOLD = "charger.hold"
    """Hold a charger back from updates, pin it, say how it is connected."""
    CALENDAR_WRITE = "calendar.write"
    """Close sites for a while, and open them again."""
    METERING_PERMIT = "metering.permit"
    """Where firmware that affects legal metering may go."""
    CHARGER_QUERY = "charger.query"
    CHARGER_OPERATE = "charger.operate"
    CHARGER_SECURE = "charger.secure"
    CHARGER_CONFIGURE = "charger.configure"
    LOG_DIAGNOSTICS = "log.diagnostics"
    LOG_SECURITY = "log.security"
    TWIN_DESIRE = "twin.desire"
    """Any desired side; configuration then asks for CHARGER_CONFIGURE, the others for TWIN_CONTROL."""
    TWIN_CONTROL = "twin.control"
    """Desired firmware and security: what drift is judged by (F18)."""
    STORAGE_ADMIN = "storage.admin"
    TUF_PUBLISH = "tuf.publish"
    """Hand in what the people of a ceremony signed; it decides nothing by itself."""
    CHARGER_IDENTITY = "charger.identity"
    """What a charger is registered as: written once, changed on record (F2)."""
    CHARGER_MOVE = "charger.move"
    """Whose it is and where it belongs (F3)."""
    CHARGER_RETIRE = "charger.retire"
    """End a charger for good: nobody takes it back."""
    CLAIM_REDEEM = "claim.redeem"
    CHARGER_ATTEST = "charger.attest"
    NOTE_ADD = "note.add"
    PRIVACY_ERASE = "privacy.erase"
    WEBHOOK_WRITE = "webhook.write"
    """Who outside is told what happens here."""
    INCIDENT_CLOSE = "incident.close"
    """One that looks like an intrusion asks for TWIN_CONTROL as well."""
    TOKEN_ADMIN = "token.admin"  # noqa: S105 - the name of a permission, not a password


# Stopping is the safe direction, so everyone who may act may stop. Rolling back is not stopping: it sends
# older firmware to chargers, so it is for those who may send firmware at all.
_STOP = {Permission.CAMPAIGN_PAUSE, Permission.CAMPAIGN_ABORT, Permission.HALT}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.OPERATOR: frozenset(
        {
            Permission.READ,
            Permission.CAMPAIGN_SKIP,
            Permission.CHARGER_HOLD,
            Permission.CALENDAR_WRITE,
            Permission.CHARGER_QUERY,
            Permission.CHARGER_OPERATE,
            Permission.LOG_DIAGNOSTICS,
            Permission.NOTE_ADD,
            Permission.INCIDENT_CLOSE,
            *_STOP,
        }
    ),
    Role.RELEASE_MANAGER: frozenset(
        {
            Permission.READ,
            Permission.ARTIFACT_UPLOAD,
            Permission.EVIDENCE_WRITE,
            Permission.ARTIFACT_WITHDRAW,
            Permission.ARTIFACT_RESTORE,
            Permission.CAMPAIGN_PLAN,
            Permission.CAMPAIGN_CREATE,
            Permission.CAMPAIGN_APPROVE,
            Permission.CAMPAIGN_RESUME,
            Permission.CAMPAIGN_PROCEED,
            Permission.CAMPAIGN_EXTEND,
            Permission.CAMPAIGN_ROLLBACK,
            Permission.CAMPAIGN_SKIP,
            Permission.CHARGER_HOLD,
            Permission.CALENDAR_WRITE,
            Permission.HALT_RESTORE,
            Permission.NOTE_ADD,
            *_STOP,
        }
    ),
    Role.SECURITY: frozenset(
        {
            Permission.READ,
            Permission.AUDIT_READ,
            Permission.ARTIFACT_SIGN,
            Permission.EVIDENCE_WRITE,
            Permission.ARTIFACT_WITHDRAW,
            Permission.ARTIFACT_RESTORE,
            Permission.TUF_PUBLISH,
            Permission.METERING_PERMIT,
            Permission.CHARGER_HOLD,
            Permission.CHARGER_QUERY,
            Permission.CHARGER_SECURE,
            Permission.LOG_DIAGNOSTICS,
            Permission.LOG_SECURITY,
            Permission.TWIN_DESIRE,
            Permission.TWIN_CONTROL,
            Permission.HALT_RESTORE,
            Permission.CHARGER_IDENTITY,
            Permission.WEBHOOK_WRITE,
            Permission.CHARGER_RETIRE,
            Permission.NOTE_ADD,
            Permission.INCIDENT_CLOSE,
            *_STOP,
        }
    ),
    Role.INSTALLER: frozenset({Permission.CLAIM_REDEEM, Permission.CHARGER_ATTEST}),
    Role.ADMIN: frozenset(Permission),
}


def may(principal: Principal, permission: Permission) -> bool:
    """Whether the table gives this permission to the caller's role."""
    return permission in PERMISSIONS.get(principal.role, frozenset())


def require(principal: Principal, permission: Permission) -> None:
    """Raise Forbidden, naming the roles that could, unless the caller may."""
    if not may(principal, permission):
        able = [role.value for role, held in PERMISSIONS.items() if permission in held]
        raise Forbidden(principal, permission.value, able)


def mint_token(
    principal: Principal,
    *,
    now: datetime,
    expires_at: datetime | None,
    token_id: str,
    random_bytes: Callable[[int], bytes],
) -> tuple[str, Token]:
    """A new bearer token: the text, to be shown once, and what is stored of it."""
    secret = base64.urlsafe_b64encode(random_bytes(32)).decode().rstrip("=")
    text = f"amp_{token_id}_{secret}"
    return text, Token(token_id, sha256_hex(text.encode()), principal, now, expires_at)


async def authenticate(tokens: TokenStore, text: str, now: datetime) -> Token:
    """The token behind a bearer text.

    Raises:
        Unauthenticated: not a token of ours; the answer does not say which part was wrong.
        TokenRefused: a genuine token that expired or was revoked; the holder is told so.
    """
    match = _TOKEN.fullmatch(text)
    token = await find_token(tokens, sha256_hex(text.encode()), now) if match else None
    if match is None or token is None or not same(token.token_id, match["token_id"]):
        raise Unauthenticated
    return token


async def find_token(tokens: TokenStore, secret_sha256: str, now: datetime) -> Token | None:
    """The live token with this hash, or None; raises TokenRefused for one that expired or was revoked."""
    token = await tokens.find(secret_sha256)
    if token is None or not same(token.secret_sha256, secret_sha256):
        return None
    if token.revoked_at is not None:
        raise TokenRefused(token, "was revoked")
    if token.expires_at is not None and token.expires_at <= now:
        raise TokenRefused(token, "has expired")
    return token


def same(left: str, right: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())
