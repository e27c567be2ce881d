"""The OpenAPI document: what FastAPI derives, plus problem+json for every error of every operation."""

from collections.abc import Iterator
from threading import Lock
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.errors import BY_STATUS, CONFLICT, Problem
from api.replies import PROBLEM_TYPE
from api.routers import artifacts, chargers
from api.schemas.common import ProblemReply

DESCRIPTION = (
    "Safe firmware campaigns for EV chargers: signed, gated, attested, durable.\n\n"
    "Errors are problem+json (RFC 9457); each `type` is a page of this api. Listings page by cursor. "
    "Single things carry an ETag. Send an Idempotency-Key with every POST that you might repeat."
)
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")


def install(app: FastAPI) -> None:
    """Let ``app.openapi`` build our document, once: FastAPI's builder is not for two threads at a time."""
    building = Lock()

    def openapi() -> dict[str, Any]:
        with building:
            if app.openapi_schema is None:
                app.openapi_schema = build(app)
            return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def build(app: FastAPI) -> dict[str, Any]:
    """The whole document."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=app.separate_input_output_schemas,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _add_schema(schemas, "Problem", ProblemReply.model_json_schema(ref_template=_REF))
    for name, adapter in {**artifacts.EXTRA_SCHEMAS, **chargers.EXTRA_SCHEMAS}.items():
        _add_schema(schemas, name, adapter.json_schema(ref_template=_REF))
    for path, method, operation in _operations(document):
        _describe_errors(path, method, operation)
    return document


_REF = "#/components/schemas/{model}"


def _add_schema(schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    for inner, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(inner, definition)
    schemas.setdefault(name, schema)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def _describe_errors(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    if not path.startswith("/api/"):
        return
    operation["security"] = [{"HTTPBearer": []}]
    for status in _statuses(path, method):
        responses[str(status)] = _problem_response(CONFLICT if status == 409 else BY_STATUS[status])


def _statuses(path: str, method: str) -> list[int]:
    statuses = [400, 401, 403, 422, 503]
    if "{" in path or method in ("post", "put") or path.endswith("/events"):
        statuses.append(404)
    if method in ("post", "put", "delete"):
        statuses += [409, 413]
    return statuses


def _problem_response(problem: Problem) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="Problem")}
    return {"description": problem.title, "content": {PROBLEM_TYPE: {"schema": schema}}}
