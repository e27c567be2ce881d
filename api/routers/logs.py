"""Logs of chargers: have one uploaded to our store, see what came, download it."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse

from api.acts import audit
from api.auth import Permission, require
from api.errors import Forbidden, KeyReused
from api.guard import Caller, GuardedRoute, Services, permit, record_refusal
from api.ports import ApiServices
from api.replies import IdempotencyKey, Limit
from api.schemas.common import ChargerId, PageReply
from api.schemas.operator import LogBody, LogReply
from storage.access import Principal
from storage.canonical import digest
from storage.errors import Conflict, NotFound
from storage.log import LOG_OPEN, LogRequest, LogSort
from workflows.log_retrieval import LogInput

router = APIRouter(prefix="/api/v1/chargers", tags=["logs"], route_class=GuardedRoute)

LogId = Annotated[int, Path(ge=0, lt=2**31)]
_MAY_READ = {LogSort.DIAGNOSTICS: Permission.LOG_DIAGNOSTICS, LogSort.SECURITY: Permission.LOG_SECURITY}


@router.post("/{charger_id}/logs", status_code=202)
@permit(Permission.LOG_DIAGNOSTICS)
async def retrieve_log(  # noqa: PLR0913 - one argument per part of the request
    request: Request,
    response: Response,
    services: Services,
    caller: Caller,
    charger_id: ChargerId,
    body: LogBody,
    key: IdempotencyKey = None,
) -> LogReply:
    """Have this charger upload a log to our store; Location says how it goes."""
    await _must(request, caller, body.kind)
    await services.chargers.get(charger_id)
    wanted = await _opened(services, caller, charger_id, body, key)
    if wanted.state in LOG_OPEN:
        left = (wanted.deadline_at - services.clock()).total_seconds()
        await services.orchestrator.retrieve_log(LogInput(wanted.request_id, charger_id, max(1.0, left)))
    response.headers["Location"] = f"/api/v1/chargers/{charger_id}/logs/{wanted.request_id}"
    return LogReply.of(wanted)


async def _opened(
    services: ApiServices, caller: Principal, charger_id: str, body: LogBody, key: str | None
) -> LogRequest:
    now = services.clock()
    wanted = LogRequest(
        request_id=await services.campaigns.next_request_id(),
        charger_id=charger_id,
        kind=body.kind,
        actor=caller.name,
        requested_at=now,
        deadline_at=now + timedelta(seconds=body.deadline_seconds),
        since=body.since,
        until=body.until,
        request_key=digest(["log", caller.name, key]) if key is not None else None,
    )
    found = await services.logs.open(wanted)
    same = (wanted.charger_id, wanted.kind, wanted.since, wanted.until)
    if (found.charger_id, found.kind, found.since, found.until) != same:
        raise KeyReused
    return found


@router.get("/{charger_id}/logs")
@permit(Permission.READ)
async def list_logs(services: Services, charger_id: ChargerId, limit: Limit = 20) -> PageReply[LogReply]:
    """The latest logs that people asked this charger for, newest first."""
    await services.chargers.get(charger_id)
    found = await services.logs.latest(charger_id, limit=limit)
    return PageReply(items=tuple(LogReply.of(one) for one in found))


@router.get("/{charger_id}/logs/{log_id}")
@permit(Permission.READ)
async def get_log(services: Services, charger_id: ChargerId, log_id: LogId) -> LogReply:
    """One log: how its retrieval goes, and what arrived."""
    return LogReply.of(await _log_of(services, charger_id, log_id))


@router.get(
    "/{charger_id}/logs/{log_id}/content",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The bytes as they came"}},
)
@permit(Permission.LOG_DIAGNOSTICS)
async def get_content(
    request: Request, services: Services, caller: Caller, charger_id: ChargerId, log_id: LogId
) -> Response:
    """The bytes of a log as they came. Its ETag is their SHA-256; who read it is in the audit log."""
    found = await _log_of(services, charger_id, log_id)
    await _must(request, caller, found.kind)
    upload = found.upload
    if upload is None:
        raise Conflict(f"Log {log_id} has not arrived: {found.reason or found.state.value}.")
    if upload.removed_at is not None:
        when = f"{upload.removed_at:%Y-%m-%d}"
        raise Conflict(
            f"Log {log_id} had had its time and was removed on {when}.",
            hint="Its name, length and SHA-256 stay on record; ask for another log.",
        )
    await audit(
        services, caller, "log.downloaded", f"charger/{charger_id}", request_id=log_id, sha256=upload.sha256
    )
    headers = {
        "ETag": f'"{upload.sha256}"',
        "Content-Length": str(upload.length),
        "Content-Disposition": f'attachment; filename="{upload.filename}"',
        "Cache-Control": "private, no-store",
    }
    stream = _closed(services.blobs.read(upload.object_key))
    return StreamingResponse(stream, 200, headers, "application/octet-stream")


async def _closed(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(stream) as chunks:  # type: ignore[type-var]  # the store's reader is a generator
        async for chunk in chunks:
            yield chunk


async def _log_of(services: ApiServices, charger_id: str, log_id: int) -> LogRequest:
    found = await services.logs.get(log_id)
    if found.charger_id != charger_id:
        raise NotFound("log", str(log_id))
    return found


async def _must(request: Request, caller: Principal, kind: LogSort) -> None:
    try:
        require(caller, _MAY_READ[kind])
    except Forbidden as error:
        await record_refusal(request, caller, "access.forbidden", error.message)
        raise
