"""Is the process alive, can it do its work, and what did it count."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field
from starlette.requests import Request

from api.guard import Services, metrics_of
from api.ports import ApiServices, ReadinessCheck
from api.schemas.common import Reply
from storage.errors import AmpwaveError
from storage.incident import IncidentKind

router = APIRouter(tags=["health"])
_INCIDENTS = 1000
"""Open ones that are counted; beyond that a number says no more."""
_WEIGHED_EVERY = timedelta(minutes=5)


@dataclass
class Scales:
    """When what is stored was weighed last, in this process."""

    read_at: datetime | None = None


class ReadyReply(Reply):
    """Each engine and what it says."""

    ready: bool
    checks: dict[str, str] = Field(examples=[{"database": "ok", "temporal": "ok", "s3": "ok"}])


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process runs. Looks at no engine, so that a restart is never asked for because one is away."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"model": ReadyReply}})
async def readyz(services: Services, response: Response) -> ReadyReply:
    """Whether every engine answers; names those that do not."""
    seconds = services.limits.readiness_seconds
    names = list(services.readiness)
    answers = await asyncio.gather(*(_ask(services.readiness[name], seconds) for name in names))
    checks = dict(zip(names, answers, strict=True))
    ready = all(answer == "ok" for answer in answers)
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    return ReadyReply(ready=ready, checks=checks)


async def _ask(check: ReadinessCheck, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            await check()
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except AmpwaveError as error:
        return error.message
    except Exception as error:  # noqa: BLE001 - an engine's client may raise anything; its kind is said, not its text
        return f"failed: {type(error).__name__}"
    return "ok"


@router.get("/metrics", response_class=Response, include_in_schema=False)
async def metrics(request: Request, services: Services) -> Response:
    """Prometheus exposition. Keep it off the public address in production."""
    await _weigh(request, services)
    with suppress(AmpwaveError, TimeoutError):  # the rest is worth telling while the database is away
        async with asyncio.timeout(services.limits.readiness_seconds):
            found = await services.watch.incidents.find(limit=_INCIDENTS)
        counts = Counter(one.kind for one in found)
        for kind in IncidentKind:
            metrics_of(request).incidents.labels(kind.value).set(counts[kind])
    return Response(metrics_of(request).render(), media_type=CONTENT_TYPE_LATEST)


async def _weigh(request: Request, services: ApiServices) -> None:
    """What is stored, weighed again every few minutes; a database that is away leaves the last numbers."""
    scales, now = request.app.state.scales, services.clock()
    if services.retention is None or (scales.read_at and now - scales.read_at < _WEIGHED_EVERY):
        return
    scales.read_at = now
    gauges = metrics_of(request)
    try:
        async with asyncio.timeout(services.limits.readiness_seconds):
            sizes = await services.retention.sizes()
    except (AmpwaveError, TimeoutError):
        return
    for each in sizes:
        gauges.stored_rows.labels(each.name).set(each.rows)
        gauges.stored_bytes.labels(each.name).set(each.bytes)
