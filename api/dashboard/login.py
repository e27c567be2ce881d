"""Log in by showing a token once; log out."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.auth import authenticate
from api.dashboard.pages import render
from api.dashboard.session import (
    check_form,
    check_origin,
    clear_session,
    seal_session,
    session_principal,
    set_session,
)
from api.errors import FormRefused, TokenRefused, Unauthenticated
from api.guard import Services, bounded, metrics_of

router = APIRouter(include_in_schema=False)
Next = Annotated[str, Query(max_length=300)]


@router.get("/login")
async def login_page(request: Request, next: Next = "/") -> Response:  # noqa: A002 - the query's own name
    """Where a person pastes a token."""
    if await session_principal(request):
        return RedirectResponse(_inside(next), 303)
    return HTMLResponse(render("login.html", next=_inside(next), problem=None))


@router.post("/login")
async def log_in(request: Request, services: Services, next: Next = "/") -> Response:  # noqa: A002 - as above
    """Turn a token into a session."""
    form = await bounded(request, "body_bytes").form(max_files=0, max_fields=5)
    text = str(form.get("token", "")).strip()
    try:
        check_origin(request)
        token = await authenticate(services.tokens, text, services.clock())
    except (Unauthenticated, TokenRefused, FormRefused) as error:
        metrics_of(request).refused.labels("login").inc()
        problem = "This token is not known here." if isinstance(error, Unauthenticated) else error.message
        return HTMLResponse(render("login.html", next=_inside(next), problem=problem), 401)
    response = RedirectResponse(_inside(next), 303)
    set_session(response, services, seal_session(services, token, services.clock()))
    return response


@router.post("/logout")
async def log_out(request: Request, proof: Annotated[str, Form(max_length=128)] = "") -> Response:
    """End the session in this browser."""
    response = RedirectResponse("/login", 303)
    try:
        check_form(request, proof)
    except FormRefused:
        return response
    clear_session(response)
    return response


def _inside(path: str) -> str:
    """Only a path of ours: never a redirect to another site."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
