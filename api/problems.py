"""Errors become problem+json here, and only here. Nothing of a fault's inside leaves the house."""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from api.errors import (
    BY_STATUS,
    INTERNAL,
    INVALID_INPUT,
    MALFORMED,
    RangeRefused,
    problem_of,
)
from api.replies import problem_reply
from storage.errors import AmpwaveError, StaleVersion
from storage.query.errors import QueryError

_log = structlog.get_logger("api")
RETRY_AFTER_SECONDS = 2


def install(app: FastAPI) -> None:
    """Make every error of this app a problem."""
    app.add_exception_handler(AmpwaveError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)


async def _known(request: Request, error: Exception) -> Response:
    return refusal(request, cast("AmpwaveError", error))


def refusal(request: Request, error: AmpwaveError) -> Response:
    """One of our errors as the answer to a request."""
    problem = problem_of(error)
    status = 412 if isinstance(error, StaleVersion) and "if-match" in request.headers else problem.status
    detail = f"{error.message} {error.hint}".strip() if problem is not INTERNAL else problem.meaning
    if status >= 500:
        _log.error("request failed", kind=type(error).__name__, detail=error.diagnostics())
    return problem_reply(
        problem,
        detail,
        problems=getattr(error, "problems", ()),
        status=status,
        headers=_headers(status, error),
        more=_place(error),
    )


def _place(error: AmpwaveError) -> dict[str, object]:
    """Where in a query it goes wrong, for programs that show it there."""
    if not isinstance(error, QueryError):
        return {}
    return {"position": asdict(error.position), "near": error.near}


def _headers(status: int, error: AmpwaveError) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": 'Bearer realm="ampwave"'}
    if status == 503:
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    if isinstance(error, RangeRefused):
        return {"Content-Range": f"bytes */{error.length}"}
    return {}


async def _invalid(_: Request, error: Exception) -> Response:
    errors = true_of(cast("RequestValidationError", error).errors())
    problems = [describe(item) for item in errors]
    if any(item.get("type") == "json_invalid" for item in errors):
        return problem_reply(MALFORMED, "The body is not valid JSON.", problems=problems)
    return problem_reply(INVALID_INPUT, f"{len(problems)} value(s) are not allowed.", problems=problems)


def true_of(errors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without the complaint that a list is too short because what is in it was refused."""
    deep = {tuple(error["loc"])[:depth] for error in errors for depth in range(len(error["loc"]))}
    return [error for error in errors if error["type"] != "too_short" or tuple(error["loc"]) not in deep]


def describe(item: Mapping[str, Any]) -> str:
    """One validation error as a sentence; the value itself stays out, it may be a secret."""
    location = cast("tuple[str | int, ...]", item.get("loc", ()))
    where = ".".join(str(part) for part in location if part != "body") or "body"
    return f"{where}: {item.get('msg', 'is not allowed')}"


async def _framework(request: Request, error: Exception) -> Response:
    raised = cast("HTTPException", error)
    problem = BY_STATUS.get(raised.status_code, MALFORMED if raised.status_code < 500 else INTERNAL)
    detail = str(raised.detail) if raised.status_code < 500 else problem.meaning
    headers = {"Allow": _allowed(request)} if raised.status_code == 405 else raised.headers
    return problem_reply(problem, detail, status=raised.status_code, headers=headers)


def _allowed(request: Request) -> str:
    """All methods of a path, over every route of its template (RFC 9110 section 10.2.1)."""
    path, template = request.url.path, None
    methods: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(path):
            template = template or route.path
            methods |= (route.methods or set()) if route.path == template else set()
    return ", ".join(sorted(methods))


def unforeseen(error: Exception) -> Response:
    """What the outside learns of a fault of ours: nothing but that there was one."""
    # As text: a console renderer would print the frames' locals, and those hold secrets.
    trace = "".join(traceback.format_exception(error))
    _log.error("unforeseen fault", kind=type(error).__name__, trace=trace)
    return problem_reply(INTERNAL, INTERNAL.meaning)
