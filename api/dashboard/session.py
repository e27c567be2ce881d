"""Dashboard sessions: a sealed cookie that names a token by its hash, and proofs of origin for forms.

The cookie holds no secret: a token's hash opens nothing elsewhere. Every request looks the token up
again, so revoking or expiring a token ends its sessions at once.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fastapi import Request, Response

from api.auth import find_token, same
from api.errors import FormRefused, TokenRefused
from api.guard import services_of
from api.ports import ApiServices
from storage.access import Principal, Token

COOKIE = "ampwave_session"


def seal_session(services: ApiServices, token: Token, now: datetime) -> str:
    """The cookie's value for a person who showed a token."""
    until = now + timedelta(seconds=services.limits.session_seconds)
    body = f"{token.secret_sha256}.{int(until.timestamp())}.{services.random_bytes(9).hex()}"
    return f"{body}.{_mac(services.session_key, 'session', body)}"


async def session_token(request: Request) -> Token | None:
    """The live token behind the request's session, or None."""
    services = services_of(request)
    secret_sha256 = _opened(services, request.cookies.get(COOKIE, ""))
    if secret_sha256 is None:
        return None
    try:
        return await find_token(services.tokens, secret_sha256, services.clock())
    except TokenRefused:
        return None


async def session_principal(request: Request) -> Principal | None:
    """Who is logged in, or None."""
    token = await session_token(request)
    return token.principal if token else None


def set_session(response: Response, services: ApiServices, value: str) -> None:
    """Log in: this browser only, never sent from another site, never readable by scripts."""
    response.set_cookie(
        COOKIE,
        value,
        max_age=services.limits.session_seconds,
        httponly=True,
        samesite="strict",
        secure=services.base_url.startswith("https://"),
        path="/",
    )


def clear_session(response: Response) -> None:
    """Log out."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def form_proof(request: Request) -> str:
    """What a form of this session carries to show that our page made it."""
    return _mac(services_of(request).session_key, "form", request.cookies.get(COOKIE, ""))


def check_form(request: Request, proof: str) -> None:
    """Raise FormRefused unless our own page of this session sent the form."""
    check_origin(request)
    if not same(proof, form_proof(request)):
        raise FormRefused("This form is from another session.", hint="Load the page again and repeat.")


def check_origin(request: Request) -> None:
    """Raise FormRefused when a browser says that another site sent the request."""
    origin = request.headers.get("origin")
    # Behind a proxy the Host header may be an inner one: our public address counts, too.
    ours = {request.headers.get("host", ""), urlsplit(services_of(request).base_url).netloc}
    if origin is not None and urlsplit(origin).netloc not in ours:
        raise FormRefused("This form came from another site.", hint="Use the dashboard's own page.")


def _opened(services: ApiServices, value: str) -> str | None:
    body, _, mac = value.rpartition(".")
    if not same(mac, _mac(services.session_key, "session", body)):
        return None
    secret_sha256, until, _ = body.split(".")
    return secret_sha256 if int(until) > services.clock().timestamp() else None


def _mac(key: bytes, purpose: str, text: str) -> str:
    return hmac.new(key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
