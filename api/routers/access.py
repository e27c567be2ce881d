"""Tokens, the audit log, and who is asking."""

from fastapi import APIRouter, Response

from api.acts import audit
from api.auth import PERMISSIONS, Permission, mint_token
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import IdempotencyKey, Limit, NumberCursor
from api.schemas.access import AuditReply, MintedReply, TokenBody, TokenReply, WhoReply
from api.schemas.common import Label, PageReply
from storage.access import Principal, reads_like
from storage.canonical import digest
from storage.errors import Conflict, InvalidInput, NotFound

router = APIRouter(prefix="/api/v1", tags=["access"], route_class=GuardedRoute)


@router.get("/whoami")
@permit(Permission.READ)
async def who_am_i(caller: Caller) -> WhoReply:
    """The caller, and what that role may do."""
    held = sorted(permission.value for permission in PERMISSIONS[caller.role])
    return WhoReply(name=caller.name, role=caller.role, permissions=tuple(held))


@router.get("/tokens")
@permit(Permission.TOKEN_ADMIN)
async def list_tokens(services: Services) -> PageReply[TokenReply]:
    """All tokens, without their secrets."""
    tokens = await services.tokens.all()
    return PageReply(items=tuple(TokenReply.of(token) for token in tokens), next_cursor=None)


@router.post("/tokens", status_code=201)
@permit(Permission.TOKEN_ADMIN)
async def create_token(
    response: Response, services: Services, caller: Caller, body: TokenBody, key: IdempotencyKey = None
) -> MintedReply:
    """Make a token. Its text is in this answer and nowhere else; a repeated key is a conflict, not a copy."""
    now = services.clock()
    if body.expires_at is not None and body.expires_at <= now:
        raise InvalidInput("The token was not made.", ["expires_at: lies in the past"])
    token_id = digest([caller.name, key])[:12] if key else services.random_bytes(6).hex()
    known = await services.tokens.all()
    if key and any(token.token_id == token_id for token in known):
        raise Conflict(
            f"Token {token_id} was made under this Idempotency-Key.",
            hint="Its text was shown then and is not kept. If it is lost, revoke it and make another.",
        )
    for name in {token.principal.name for token in known} - {body.name}:
        if reads_like(name) == reads_like(body.name):
            raise Conflict(
                f"{body.name!r} reads like {name!r}, who has a token already.",
                hint="Where two people have to agree, these would count as two: use one name, or another.",
            )
    text, token = mint_token(
        Principal(body.name, body.role),
        now=now,
        expires_at=body.expires_at,
        token_id=token_id,
        random_bytes=services.random_bytes,
    )
    await services.tokens.add(token)
    await audit(
        services, caller, "token.created", f"token/{token_id}", holder=body.name, holder_role=body.role.value
    )
    response.headers["Location"] = f"/api/v1/tokens/{token_id}"
    response.headers["Cache-Control"] = "no-store"
    return MintedReply.minted(token, text)


@router.delete("/tokens/{token_id}", status_code=204)
@permit(Permission.TOKEN_ADMIN)
async def revoke_token(services: Services, caller: Caller, token_id: Label) -> None:
    """Revoke a token at once, its dashboard sessions too."""
    if not await services.tokens.revoke(token_id, services.clock()):
        raise NotFound("live token", token_id, hint="See them: ampwave token list.")
    await audit(services, caller, "token.revoked", f"token/{token_id}")


@router.get("/audit")
@permit(Permission.AUDIT_READ)
async def read_audit(
    services: Services, limit: Limit = 100, cursor: NumberCursor = 0
) -> PageReply[AuditReply]:
    """The audit log from the start, each row chained to the one before (ampwave audit verify)."""
    rows = await services.audit.rows(after=cursor, limit=limit)
    more = str(rows[-1].number) if len(rows) == limit else None
    return PageReply(items=tuple(AuditReply.of(row) for row in rows), next_cursor=more)
