"""The guard in front of every route: authenticate, check the permission, bound the body, then parse.

FastAPI reads a body before it looks at dependencies, so the check sits in the route itself: nobody
without the permission makes us spool an upload. A guarded route without a permission does not start.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.types import Message, Receive

from api.auth import Permission, authenticate, require
from api.errors import Forbidden, TokenRefused, TooLarge, Unauthenticated
from api.metrics import ApiMetrics
from api.ports import ApiServices
from storage.access import Principal
from storage.audit import AuditEntry

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_MARK = "__guard__"

BEARER = HTTPBearer(auto_error=False, bearerFormat="amp_<id>_<secret>", description="A token of this api.")


@dataclass(frozen=True, slots=True)
class Guard:
    """What a route asks of its caller, and which limit its body has."""

    permission: Permission
    body_limit: str = "body_bytes"
    """A field of ``ApiLimits``."""


def permit(permission: Permission, *, body_limit: str = "body_bytes") -> Callable[[Endpoint], Endpoint]:
    """Name the permission that an endpoint needs; goes below the router's decorator."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, Guard(permission, body_limit))
        return endpoint

    return mark


def guard_of(endpoint: Callable[..., Any]) -> Guard:
    """The guard of an endpoint; raises RuntimeError where none was named."""
    guard = getattr(endpoint, _MARK, None)
    if not isinstance(guard, Guard):
        raise RuntimeError(  # noqa: TRY004 - a mistake in our code, not a wrong type
            f"{endpoint} names no permission: put @permit(...) on it."
        )
    return guard


class GuardedRoute(APIRoute):
    """A route that admits nobody without its permission."""

    def get_route_handler(self) -> Handler:
        """The handler behind the guard."""
        guard = guard_of(self.endpoint)
        inner = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await admit(request, guard.permission)
            return await inner(bounded(request, guard.body_limit))

        return guarded


async def admit(request: Request, permission: Permission) -> None:
    """Let the caller in as ``request.state.principal``, or raise and record why not."""
    services, metrics = services_of(request), metrics_of(request)
    try:
        token = await authenticate(services.tokens, bearer_text(request), services.clock())
        require(token.principal, permission)
    except Unauthenticated:
        metrics.refused.labels("unknown_token").inc()
        raise
    except TokenRefused as refused:
        metrics.refused.labels("refused_token").inc()
        await record_refusal(request, refused.token.principal, "access.token_refused", refused.message)
        raise
    except Forbidden as forbidden:
        metrics.refused.labels("forbidden").inc()
        await record_refusal(request, forbidden.principal, "access.forbidden", forbidden.message)
        raise
    request.state.principal = token.principal


def bearer_text(request: Request) -> str:
    """The bearer text of a request, or Unauthenticated."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise Unauthenticated
    return text.strip()


class RefusalMemory:
    """Audits each kind of refusal of a caller once a minute, so that a stuck script cannot flood the log."""

    _EVERY = timedelta(minutes=1)
    _ROOM = 1000

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], datetime] = {}

    def is_due(self, key: tuple[str, str], now: datetime) -> bool:
        """Whether this refusal was not recorded in the last minute; remembers it if so."""
        last = self._last.get(key)
        if last is not None and now - last < self._EVERY:
            return False
        if len(self._last) >= self._ROOM:
            self._last.clear()
        self._last[key] = now
        return True


async def record_refusal(request: Request, principal: Principal, action: str, why: str) -> None:
    """Put a refused act of a known caller where an operator would look."""
    services = services_of(request)
    now = services.clock()
    memory: RefusalMemory = request.app.state.refusals
    if memory.is_due((principal.name, why), now):
        detail = {"role": principal.role.value, "method": request.method, "why": why}
        await services.audit.append(AuditEntry(now, principal.name, action, request.url.path, detail))


def bounded(request: Request, limit_name: str) -> Request:
    """The request with a body that ends in 413 once it passes its limit."""
    limit: int = getattr(services_of(request).limits, limit_name)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(limit)
    return Request(request.scope, _bounded_receive(request.receive, limit))


def _bounded_receive(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def receive_bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            # FastAPI passes on only its own exceptions from reading a body.
            raise HTTPException(413, TooLarge(limit).diagnostics())
        return message

    return receive_bounded


def services_of(request: Request) -> ApiServices:
    """The services that the app was created with."""
    services: ApiServices = request.app.state.services
    return services


def metrics_of(request: Request) -> ApiMetrics:
    """This app's metrics."""
    metrics: ApiMetrics = request.app.state.metrics
    return metrics


def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


Services = Annotated[ApiServices, Depends(services_of)]
Caller = Annotated[Principal, Depends(_principal)]
