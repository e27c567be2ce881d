"""Twins: what is desired of a charger, against the version that was read."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Response

from api.acts import audit
from api.auth import Permission, require
from api.errors import NoPrecondition
from api.guard import Caller, GuardedRoute, Services, permit
from api.ports import ApiServices
from api.schemas.common import ChargerId
from api.schemas.twins import DesiredReply, DesiredSections
from csms.redaction import is_secret
from storage.access import Principal
from storage.desired import DesiredChange, DesiredSection
from storage.errors import Conflict, InvalidInput, NotFound
from storage.ownership import MOVE_HINT
from storage.twin_schema import leaves

router = APIRouter(prefix="/api/v1/chargers/{charger_id}", tags=["twins"], route_class=GuardedRoute)

Section = Annotated[
    str,
    Path(
        pattern="^[a-z]{1,40}$",
        description="`configuration`, `firmware`, `security`, `power`, `network` or `terms`.",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=40,
        description='The ETag that you read, for example `"7"`; `"0"` where nothing was ever desired.',
    ),
]
SectionBody = Annotated[
    dict[str, Any], Body(examples=[{"values": {"OCPPCommCtrlr.HeartbeatInterval": "300"}}])
]
_MOVED = ("ownership", "register")
_ETAG = re.compile(r'"(0|[1-9][0-9]{0,17})"')
_CHANGED: dict[int | str, dict[str, Any]] = {
    409: {"description": "The charger is retired"},
    412: {"description": "Somebody else wrote first"},
    413: {"description": "The section would pass 64 KiB"},
    428: {"description": "If-Match is missing"},
}


@router.get("/desired")
@permit(Permission.READ)
async def get_all_desired(services: Services, charger_id: ChargerId) -> DesiredSections:
    """What is desired of a charger, section by section, with its answers."""
    sections = await services.twins.desired(charger_id)
    return DesiredSections(
        charger_id=charger_id,
        read_at=services.clock(),
        sections=tuple(DesiredReply.of(each) for each in sections),
    )


@router.get("/desired/{section}")
@permit(Permission.READ)
async def get_desired(
    response: Response, services: Services, charger_id: ChargerId, section: Section
) -> DesiredReply:
    """One desired section. Its ETag is its version, for If-Match."""
    sections = {each.section: each for each in await services.twins.desired(charger_id)}
    if section not in sections:
        hint = MOVE_HINT if section in _MOVED else f"There are {', '.join(sections)}."
        raise NotFound("desired section", section, hint=hint)
    return _reply(response, sections[section])


@router.put("/desired/{section}", responses=_CHANGED)
@permit(Permission.TWIN_DESIRE, body_limit="section_bytes")
async def put_desired(  # noqa: PLR0913 - one argument per part of the request
    response: Response,
    services: Services,
    caller: Caller,
    charger_id: ChargerId,
    section: Section,
    body: SectionBody,
    if_match: IfMatch = None,
) -> DesiredReply:
    """Replace a desired section. Raises its version unless nothing changes; nothing is sent by this alone."""
    change = _change(services, caller, (charger_id, section), body, if_match, merge=False)
    return _reply(response, await _set(services, caller, change))


@router.patch("/desired/{section}", responses=_CHANGED)
@permit(Permission.TWIN_DESIRE, body_limit="section_bytes")
async def patch_desired(  # noqa: PLR0913 - one argument per part of the request
    response: Response,
    services: Services,
    caller: Caller,
    charger_id: ChargerId,
    section: Section,
    body: SectionBody,
    if_match: IfMatch = None,
) -> DesiredReply:
    """Change parts of a desired section by a merge patch (RFC 7396); null takes a value away."""
    change = _change(services, caller, (charger_id, section), body, if_match, merge=True)
    return _reply(response, await _set(services, caller, change))


def _change(
    services: ApiServices,
    caller: Principal,
    place: tuple[str, str],
    body: dict[str, Any],
    if_match: str | None,
    *,
    merge: bool,
) -> DesiredChange:
    charger_id, section = place
    if section in _MOVED:
        raise Conflict(f"The {section} of {charger_id} is not set like a desired value.", hint=MOVE_HINT)
    # Configuration is sent to chargers; drift of firmware and trust is judged by the rest (F18).
    require(caller, Permission.CHARGER_CONFIGURE if section == "configuration" else Permission.TWIN_CONTROL)
    version = expected_version(if_match)
    refuse_secrets(section, body)
    return DesiredChange(
        charger_id,
        section,
        body,
        version,
        caller.name,
        f"request/{services.new_id()}",
        services.clock(),
        merge=merge,
    )


async def _set(services: ApiServices, caller: Principal, change: DesiredChange) -> DesiredSection:
    after = await services.twins.set_desired(change)
    if after.version != change.expected_version:
        await audit(
            services,
            caller,
            "charger.desired_set",
            f"charger/{change.charger_id}",
            section=change.section,
            version=after.version,
            cause=change.cause,
        )
    return after


def expected_version(if_match: str | None) -> int:
    """The version in an If-Match. Raises NoPrecondition, or InvalidInput for what is no ETag of ours."""
    if if_match is None:
        raise NoPrecondition
    found = _ETAG.fullmatch(if_match.strip().removeprefix("W/"))
    if found is None:
        raise InvalidInput(
            "If-Match is not the ETag of a desired section.",
            hint='It looks like "7"; "*" is not enough here.',
        )
    return int(found[1])


def refuse_secrets(section: str, body: dict[str, Any]) -> None:
    """Raise InvalidInput where a password would enter a twin, its history and its pages."""
    secret = [path for path, value in leaves(section, body) if value is not None and is_secret(path)]
    if secret:
        raise InvalidInput(
            "A secret has no place in a twin.",
            [f"{path}: is a secret" for path in secret],
            hint="Passwords are changed by the command for it.",
        )


def _reply(response: Response, section: DesiredSection) -> DesiredReply:
    response.headers["ETag"] = f'"{section.version}"'
    response.headers["Cache-Control"] = "private, no-cache"
    return DesiredReply.of(section)
