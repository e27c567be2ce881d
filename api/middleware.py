"""Around every request: an id, one log line without secrets, numbers, and the headers that browsers obey."""

import re
import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.downloads import redact
from api.metrics import ApiMetrics
from api.problems import unforeseen

_log = structlog.get_logger("api.access")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # not no-referrer: with it browsers send "Origin: null" with our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Doorman:
    """Pure ASGI, so that streams pass through unbuffered."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, new_id: Callable[[], str]) -> None:
        self._app = app
        self._metrics = metrics
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._request_id(Headers(scope=scope))
        started, status = time.perf_counter(), 500

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _mark(MutableHeaders(scope=message), request_id)
            await send(message)

        try:
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                await self._serve(scope, receive, send_marked)
        finally:
            self._note(scope, status, time.perf_counter() - started, request_id)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            response = unforeseen(error)
            if started:  # too late for an answer: break the connection, so that it is not taken for whole
                raise
            await response(scope, receive, send)

    def _request_id(self, headers: Headers) -> str:
        given = headers.get("x-request-id", "")
        return given if _REQUEST_ID.fullmatch(given) else self._new_id()

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        method, route = scope["method"], route_of(scope)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        if scope["path"] in _QUIET or route == "/static":
            return
        principal = scope.get("state", {}).get("principal")
        _log.info(
            "request",
            method=method,
            path=redact(scope["path"]),
            status=status,
            ms=round(seconds * 1000, 1),
            request_id=request_id,
            actor=principal.name if principal else None,
        )


def _mark(headers: MutableHeaders, request_id: str) -> None:
    headers["X-Request-ID"] = request_id
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)


def route_of(scope: Scope) -> str:
    """The template of the route that served a request: bounded, unlike its path."""
    route = scope.get("route")
    if route is None:
        return "/static" if scope["path"].startswith("/static/") else "none"
    return str(getattr(route, "path", "none"))
