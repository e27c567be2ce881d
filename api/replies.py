"""Small habits of every reply: ETags, problems, idempotency keys, cursors."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import orjson
from fastapi import Header, Query, Request, Response
from pydantic import BaseModel

from api.errors import Problem
from storage.canonical import digest, sha256_hex

PROBLEM_TYPE = "application/problem+json"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9._:\-]+$",
        description="Repeat a request with its key and it happens once; with another body it is 422.",
        examples=["7f9c2ba4-e88f-4d6f-b8a4-2b1d8ac0e1c5"],
    ),
]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "You have exactly this already (If-None-Match)"}
}
Limit = Annotated[int, Query(ge=1, le=500, description="Items a page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=512, description="`next_cursor` of the page before; opaque."),
]
NumberCursor = Annotated[
    int,
    Query(alias="cursor", ge=0, lt=2**63, description="`next_cursor` of the page before."),
]
"""A cursor that is the number of a row; 0 before the first."""


def problem_reply(
    problem: Problem,
    detail: str,
    *,
    problems: Sequence[str] = (),
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """A problem+json response; ``more`` are members of its own kind (RFC 9457 section 3.2)."""
    code = status or problem.status
    body = {
        "type": problem.uri,
        "title": problem.title,
        "status": code,
        "detail": detail,
        "problems": list(problems),
        **(more or {}),
    }
    return Response(orjson.dumps(body), code, headers, PROBLEM_TYPE)


def tagged_reply(request: Request, body: BaseModel) -> Response:
    """The body with its ETag, or 304 when the caller has exactly this already."""
    data = body.model_dump_json().encode()
    headers = {"ETag": f'"{sha256_hex(data)[:32]}"', "Cache-Control": "private, no-cache"}
    if tag_matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="application/json", headers=headers)


def tag_matches(header: str | None, etag: str) -> bool:
    """Weak comparison of If-None-Match (RFC 9110 section 13.1.2)."""
    if header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags


def update_id(verb: str, actor: str, key: str) -> str:
    """The id under which Temporal does an act once; a hash, for ids are not encrypted."""
    return digest([verb, actor, key])[:32]
