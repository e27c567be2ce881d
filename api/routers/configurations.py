"""One set of values for many chargers: a job, and what became of it charger by charger (F25)."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.acts import audit
from api.auth import Permission
from api.errors import KeyReused
from api.guard import Caller, GuardedRoute, Services, permit
from api.ports import ApiServices
from api.replies import Cursor, IdempotencyKey, Limit, update_id
from api.schemas.command_base import unfit
from api.schemas.common import PageReply
from api.schemas.configurations import (
    ConfigurationBody,
    ConfigurationReply,
    LineReply,
    PreviewLine,
    PreviewReply,
)
from storage.access import Principal
from storage.canonical import digest
from storage.charger import ChargerFilter
from storage.configuration import (
    MOST_CHARGERS,
    ConfigurationJob,
    JobState,
    LineState,
)
from storage.drift import same
from storage.errors import InvalidInput, NotFound
from storage.twin import Lifecycle
from storage.twin_schema import desired_problems

router = APIRouter(prefix="/api/v1/configurations", tags=["twins"], route_class=GuardedRoute)

_PAGE, _SHOWN = 500, 200
_ENDING = (Lifecycle.RETIRING, Lifecycle.RETIRED)
JobId = Annotated[str, Path(pattern=r"^[A-Za-z0-9\-]{1,64}$")]


@router.post("", status_code=202)
@permit(Permission.CHARGER_CONFIGURE)
async def create_configuration(
    response: Response,
    services: Services,
    caller: Caller,
    body: ConfigurationBody,
    key: IdempotencyKey = None,
) -> ConfigurationReply:
    """Desire these values of every named charger, and bring them to each once it is connected and free."""
    _check(body)
    configuration_id = update_id("configuration", caller.name, key) if key else services.new_id()
    request_sha256 = digest([caller.name, body.model_dump(mode="json")])
    stored = await _known(services, configuration_id)
    if stored is None:
        stored = await _open(services, caller, body, (configuration_id, request_sha256))
    if stored.request_sha256 != request_sha256:
        raise KeyReused
    await services.orchestrator.start_configuration(stored.configuration_id)
    response.headers["Location"] = f"/api/v1/configurations/{stored.configuration_id}"
    return ConfigurationReply.model_validate(stored)


@router.post("/preview")
@permit(Permission.CHARGER_CONFIGURE)
async def preview_configuration(services: Services, body: ConfigurationBody) -> PreviewReply:
    """Who would get these values, and what they report now; nothing is written or sent."""
    _check(body)
    charger_ids = await _chosen(services, body)
    lines: list[PreviewLine] = []
    alike = 0
    for start in range(0, len(charger_ids), _PAGE):
        for view in await services.chargers.views(charger_ids[start : start + _PAGE]):
            told = view.twin.configuration.values if view.twin.configuration else {}
            differs = tuple(name for name, value in body.values.items() if not same(value, told.get(name)))
            alike += not differs
            link = view.twin.connectivity
            if len(lines) < _SHOWN:
                online = link is not None and link.online
                lines.append(PreviewLine(charger_id=view.charger.charger_id, online=online, differs=differs))
    return PreviewReply(chargers=len(charger_ids), same=alike, items=tuple(lines))


@router.get("")
@permit(Permission.READ)
async def list_configurations(
    services: Services, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> PageReply[ConfigurationReply]:
    """The latest jobs, without their counts."""
    found = await services.twins.configurations(limit=limit)
    return PageReply(items=tuple(ConfigurationReply.model_validate(job) for job in found))


@router.get("/{configuration_id}")
@permit(Permission.READ)
async def get_configuration(services: Services, configuration_id: JobId) -> ConfigurationReply:
    """One job, with how many of its chargers are where."""
    return ConfigurationReply.model_validate(await services.twins.configuration(configuration_id))


@router.get("/{configuration_id}/chargers")
@permit(Permission.READ)
async def list_lines(
    services: Services,
    configuration_id: JobId,
    state: LineState | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> PageReply[LineReply]:
    """What became of a job, charger by charger."""
    await services.twins.configuration(configuration_id)
    page = await services.twins.configuration_lines(configuration_id, state=state, limit=limit, cursor=cursor)
    return PageReply(
        items=tuple(LineReply.model_validate(line) for line in page.items), next_cursor=page.next_cursor
    )


@router.post("/{configuration_id}/stop")
@permit(Permission.CHARGER_CONFIGURE)
async def stop_configuration(
    services: Services, caller: Caller, configuration_id: JobId
) -> ConfigurationReply:
    """Send to no more chargers. The values stay desired of those that have no result."""
    await services.twins.configuration(configuration_id)
    stopped = await services.twins.close_configuration(
        configuration_id, JobState.STOPPED, LineState.STOPPED, services.clock()
    )
    if stopped:
        await audit(services, caller, "configuration.stopped", f"configuration/{configuration_id}")
    return ConfigurationReply.model_validate(await services.twins.configuration(configuration_id))


async def _known(services: ApiServices, configuration_id: str) -> ConfigurationJob | None:
    try:
        return await services.twins.configuration(configuration_id)
    except NotFound:
        return None


async def _open(
    services: ApiServices, caller: Principal, body: ConfigurationBody, names: tuple[str, str]
) -> ConfigurationJob:
    charger_ids = await _chosen(services, body)
    now = services.clock()
    configuration_id, request_sha256 = names
    job = ConfigurationJob(
        configuration_id=configuration_id,
        values=body.values,
        actor=caller.name,
        created_at=now,
        deadline_at=now + timedelta(seconds=body.deadline_seconds),
        request_sha256=request_sha256,
    )
    stored = await services.twins.open_configuration(job, charger_ids)
    subject = f"configuration/{configuration_id}"
    given = {"names": sorted(body.values), "chargers": len(charger_ids)}
    await audit(services, caller, "configuration.created", subject, **given)
    return stored


def _check(body: ConfigurationBody) -> None:
    problems = [f"values.{name}: {problem}" for name in body.values if (problem := unfit(name))]
    problems += desired_problems("configuration", {"values": body.values})
    if problems:
        raise InvalidInput("These values cannot be desired.", problems)


async def _chosen(services: ApiServices, body: ConfigurationBody) -> list[str]:
    """The chargers that a body names, each once. Raises InvalidInput where it names nobody, or too many."""
    if body.charger_ids:
        wanted = list(dict.fromkeys(body.charger_ids))
        found = {view.charger.charger_id for view in await services.chargers.views(wanted)}
        if missing := [each for each in wanted if each not in found]:
            raise InvalidInput(
                f"{len(missing)} of these chargers do not exist.",
                [f"{each}: unknown" for each in missing[:50]],
            )
        return wanted
    where = ChargerFilter(body.vendor, body.model, body.site_id, body.firmware_version)
    chosen: list[str] = []
    cursor: str | None = None
    while True:
        page = await services.chargers.find(where, limit=500, cursor=cursor)
        chosen += [view.charger.charger_id for view in page.items if view.charger.lifecycle not in _ENDING]
        cursor = page.next_cursor
        if len(chosen) > MOST_CHARGERS:
            raise InvalidInput(f"These are more than {MOST_CHARGERS} chargers.", hint="Make smaller jobs.")
        if cursor is None:
            break
    if not chosen:
        raise InvalidInput("No charger matches.", hint="`ampwave charger list` takes the same filters.")
    return chosen
