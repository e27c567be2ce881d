"""What explains the api: the OpenAPI document, Swagger UI from our own files, and a page for each problem."""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from api.dashboard.pages import render
from api.errors import PROBLEMS
from storage.errors import NotFound

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).parent.parent / "dashboard" / "static"


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    """The description of this api."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Swagger UI, without a content network and without inline scripts."""
    return HTMLResponse(render("docs.html"))


@router.get("/problems")
async def problems() -> HTMLResponse:
    """Every problem that this api can answer with."""
    return HTMLResponse(render("problems.html", problems=list(PROBLEMS.values())))


@router.get("/problems/{slug}")
async def problem(slug: str) -> Response:
    """What one problem means and what to do."""
    found = PROBLEMS.get(slug)
    if found is None:
        raise NotFound("problem", slug, hint="See /problems.")
    return HTMLResponse(render("problems.html", problems=[found]))
