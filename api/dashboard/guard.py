"""The guard of the dashboard's pages: a session with the permission, or the login page; errors as pages."""

from typing import Annotated
from urllib.parse import quote

import structlog
from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from api.auth import require
from api.dashboard.pages import render
from api.dashboard.session import form_proof, session_principal
from api.errors import Forbidden, problem_of
from api.guard import Handler, Services, bounded, guard_of, metrics_of, record_refusal
from storage.access import Principal
from storage.errors import AmpwaveError, NotFound

_log = structlog.get_logger("api")


class PageRoute(APIRoute):
    """A page for people who are logged in and hold its permission."""

    def get_route_handler(self) -> Handler:
        """The handler behind the guard, with errors as pages."""
        guard = guard_of(self.endpoint)
        inner = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            principal = await session_principal(request)
            if principal is None:
                return _to_login(request)
            request.state.principal = principal
            try:
                require(principal, guard.permission)
                return await inner(bounded(request, guard.body_limit))
            except Forbidden as error:
                metrics_of(request).refused.labels("forbidden").inc()
                await record_refusal(request, principal, "access.forbidden", error.message)
                return error_page(request, error)
            except AmpwaveError as error:
                return error_page(request, error)
            except RequestValidationError:
                return error_page(request, NotFound("page", request.url.path))
            except HTTPException as error:
                return error_page(request, AmpwaveError(str(error.detail)), error.status_code)

        return guarded


def _to_login(request: Request) -> Response:
    if request.headers.get("hx-request"):
        # A fragment that follows a redirect would put the login page into the page: load it whole instead.
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    if request.headers.get("accept", "").startswith("text/event-stream"):
        return Response(status_code=401)
    wanted = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"/login?next={quote(wanted)}", 303)


def error_page(request: Request, error: AmpwaveError, status: int | None = None) -> Response:
    """An error as a page: what happened, what next."""
    problem = problem_of(error)
    code = status or problem.status
    if code >= 500:
        _log.error("page failed", kind=type(error).__name__, detail=error.diagnostics())
    context = page_context(request) if hasattr(request.state, "principal") else {}
    return HTMLResponse(render("error.html", problem=problem, error=error, **context), code)


def page_context(request: Request) -> dict[str, object]:
    """What every page shows: who is logged in, and the proof its forms carry."""
    principal: Principal = request.state.principal
    path, query = request.url.path, request.url.query
    return {
        "principal": principal,
        "proof": form_proof(request),
        "path": path,
        "here": f"{path}?{query}" if query else path,
    }


async def _page_context(request: Request, services: Services) -> dict[str, object]:
    return page_context(request) | {"halts": await services.halts.in_force()}


PageContext = Annotated[dict[str, object], Depends(_page_context)]
