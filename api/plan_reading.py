"""Plans that break their schema: what is wrong with them by the schema, and by every rule that can be judged.

Whoever wrote a plan hears all in one answer. A field that could not be read is left open, not at its default:
a rule that looks at it says nothing (``workflows.partial``). A field that nobody knows may stand for any
that was left out at its place, so those are open, too.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.cohort import CampaignDesk
from api.guard import GuardedRoute, Handler, services_of
from api.problems import describe, true_of
from api.schemas.campaigns import FilterBody, GateBody, PaceBody, PlanBody, WaveBody
from storage.campaign import CampaignPlan
from storage.errors import InvalidInput
from workflows.partial import hide

Error = Mapping[str, Any]
"""One of pydantic's errors."""
Place = tuple[str | int, ...]
_PARTS: dict[str, type[BaseModel]] = {"targets": FilterBody, "gate": GateBody, "pace": PaceBody}
_TOLD = 100
"""So many errors of one request; whoever sent a list of nonsense needs no more."""


class PlanRoute(GuardedRoute):
    """A route that judges a plan which breaks its schema by the rules of planning, too."""

    def get_route_handler(self) -> Handler:
        """The guarded handler, with an ear for what its schema refuses."""
        inner = super().get_route_handler()
        if self.endpoint.__annotations__.get("body") is not PlanBody:
            return inner

        async def judged(request: Request) -> Response:
            try:
                return await inner(request)
            except RequestValidationError as error:
                plan = plan_of(error.body, errors := true_of(error.errors()))
                if plan is None:
                    raise
                desk = CampaignDesk(services_of(request), request.state.principal)
                problems = [*problems_of(error.body, errors), *await desk.reasons(plan)]
                raise InvalidInput(
                    "This plan cannot run.", problems, hint="Change the plan and preview it again."
                ) from error

        return judged


def problems_of(body: object, errors: Sequence[Error]) -> list[str]:
    """What the schema says, each with the path of its field."""
    said: dict[str, None] = {}
    for place, error in enumerate(errors):
        if len(said) == _TOLD:
            return [*said, f"and {len(errors) - place} more of this kind"]
        if sentence := _sentence(body, error):
            said[sentence] = None
    return list(said)


def plan_of(body: object, errors: Sequence[Error]) -> CampaignPlan | None:
    """The plan, with whatever could not be read hidden; None: it is no plan at all."""
    if not isinstance(body, dict):
        return None
    spoilt = _spoilt(body, [tuple(error["loc"])[1:] for error in errors if error["loc"][0] == "body"])
    if spoilt is None:
        return None
    try:
        plan = PlanBody.model_validate(_mended(body, spoilt)).to_noun()
    except ValidationError:
        return None
    return _hidden(plan, spoilt)


@dataclass(frozen=True, slots=True)
class _Spoilt:
    """What of a body is left away, and which fields are open, by the place of their object."""

    gone: Mapping[Place, set[str]]
    open: Mapping[Place, set[str]]


def _spoilt(body: dict[str, Any], paths: Sequence[Place]) -> _Spoilt | None:
    gone: defaultdict[Place, set[str]] = defaultdict(set)
    for path in paths:
        place, name = _split(path)
        if not isinstance(name, str):
            return None
        gone[place].add(name)
    return _Spoilt(gone, {place: _open(body, place, names) for place, names in gone.items()})


def _open(body: dict[str, Any], place: Place, gone: set[str]) -> set[str]:
    """Fields that were not read; with one that nobody knows, all that were left out."""
    known = set(_model(place).model_fields)
    return gone & known if gone <= known else (gone & known) | (known - set(_object(body, place)))


def _split(path: Place) -> tuple[Place, str | int | None]:
    """The place of the object that a path leads into, and the field of it."""
    if len(path) > 1 and path[0] in _PARTS:
        return path[:1], path[1]
    if len(path) > 2 and path[0] == "waves":
        return path[:2], path[2]
    return (), path[0] if path else None


def _model(place: Place) -> type[BaseModel]:
    if not place:
        return PlanBody
    return WaveBody if place[0] == "waves" else _PARTS[str(place[0])]


def _object(body: Any, place: Place) -> dict[str, Any]:
    for part in place:
        body = body[part]
    return body if isinstance(body, dict) else {}


def _mended(body: dict[str, Any], spoilt: _Spoilt) -> dict[str, Any]:
    """What is left, with something in the place of what must be there."""

    def left(place: Place) -> dict[str, Any]:
        gone = spoilt.gone.get(place, set())
        return {name: value for name, value in _object(body, place).items() if name not in gone}

    mended = {"name": "?", "artifact_id": "0" * 64, "waves": [{"name": "?", "share": 1}], **left(())}
    for part in _PARTS:
        if part in mended and (part,) in spoilt.gone:
            mended[part] = left((part,))
    if isinstance(given := left(()).get("waves"), list):
        places = enumerate(given)
        mended["waves"] = [
            {"name": f"wave {n}", **left(("waves", n))} if ("waves", n) in spoilt.gone else each
            for n, each in places
        ]
    return mended


def _hidden(plan: CampaignPlan, spoilt: _Spoilt) -> CampaignPlan:
    def unread(*place: str | int) -> set[str]:
        return spoilt.open.get(place, set())

    own = unread()
    if "rollback_artifact_id" in own:
        own = own | {"required_approvals"}  # Two where there is a way back.
    whole = replace(
        plan,
        targets=hide(plan.targets, unread("targets")),
        gate=hide(plan.gate, unread("gate")),
        pace=hide(plan.pace, unread("pace")),
        waves=tuple(hide(wave, unread("waves", n)) for n, wave in enumerate(plan.waves)),
    )
    return hide(whole, own)


def _sentence(body: object, error: Error) -> str | None:
    """One error with its path; of the two ways to give a health policy, only the one that was tried."""
    path: Place = tuple(error["loc"])
    if path[1:3] == ("gate", "health") and len(path) > 3:
        if (path[3] == "HealthBody") != isinstance(_object(body, ("gate",)).get("health"), dict):
            return None
        path = (*path[:3], *path[4:])
    where, _, says = describe({**error, "loc": path}).partition(": ")
    if error["type"] == "extra_forbidden":
        return f"{where}: {_no_field(path[1:])}"
    if error["type"] == "string_pattern_mismatch" and path[-1] in _SHAPES:
        return f"{where}: {_SHAPES[str(path[-1])]}"
    for pydantics, ours in _WORDS.items():
        says = says.replace(pydantics, ours)
    return f"{where}: {_KINDS.get(error['type'], says)}"


def _no_field(path: Place) -> str:
    place, name = _split(path)
    known = _model(place).model_fields
    close = [f"{name}_seconds"] if f"{name}_seconds" in known else get_close_matches(str(name), known, n=1)
    meant = f"; did you mean {close[0]}?" if close and path == (*place, name) else ""
    return f"there is no such field{meant}"


_SHAPES = {
    "opens": "should be a time of day such as 22:00",
    "closes": "should be a time of day such as 05:00",
    "artifact_id": "should be an artifact's whole id, 64 hexadecimal digits (ampwave artifact list)",
    "rollback_artifact_id": "should be an artifact's whole id, 64 hexadecimal digits (ampwave artifact list)",
}
_KINDS = {
    "missing": "is missing",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "tuple_type": "should be a list",
    "model_type": "should be an object of names and values",
    "model_attributes_type": "should be an object of names and values",
}
_WORDS = {"Value error, ": "", "Input should": "should", "String should": "should", "Tuple should": "should"}
"""What pydantic calls things, and what people call them."""
