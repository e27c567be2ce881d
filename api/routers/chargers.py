"""Chargers: register, import, find, look."""

import csv
import io
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter

from api.auth import Permission
from api.enrolling import store_of
from api.guard import Caller, GuardedRoute, Services, permit
from api.registration import Registrar
from api.replies import NOT_MODIFIED, Cursor, Limit, tagged_reply
from api.schemas.chargers import (
    ChargerBody,
    ChargerReply,
    ChargerSummary,
    EntryReply,
    GroupsReply,
    ImportReply,
)
from api.schemas.common import ChargerId, Instant, PageReply
from api.schemas.transfers import DownloadReply
from storage.charger import ChargerFilter, GroupQuestion
from storage.chronicle import question_of
from storage.errors import InvalidInput
from storage.query.parser import split_names
from storage.twin import Lifecycle
from storage.twin_schema import TERMS

router = APIRouter(prefix="/api/v1/chargers", tags=["chargers"], route_class=GuardedRoute)

_Word = Annotated[str | None, Query(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]

_QueryParameter = Annotated[
    str | None,
    Query(
        description="In the query language over twins, docs/QUERY.md.",
        examples=["vendor = Acme and firmware.version < 2.10 and not charging"],
    ),
]

_What = Annotated[
    str,
    Query(
        max_length=1000,
        description="With commas: `event` (all of them), `alarm`, `reset`, `error`, `act` (of people), "
        "`change` (of the twin), or kinds of events by name.",
        examples=["alarm,reset,act,change"],
    ),
]

_COLUMNS = frozenset({"charger_id", "site_id", "vendor", "model"})
_IMPORT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    # A row of another shape is refused by itself, not the whole import.
                    "items": {"anyOf": [{"$ref": "#/components/schemas/ChargerBody"}, {}]},
                }
            },
            "text/csv": {
                "schema": {"type": "string"},
                "example": "charger_id,site_id,vendor,model\nCP-0001,harbour-north,Volta,V22\n",
            },
        },
    }
}
EXTRA_SCHEMAS: dict[str, TypeAdapter[Any]] = {"ChargerBody": TypeAdapter(ChargerBody)}


@router.get("")
@permit(Permission.READ)
async def list_chargers(  # noqa: PLR0913 - one argument per filter, as the query string has it
    services: Services,
    vendor: _Word = None,
    model: _Word = None,
    site_id: _Word = None,
    firmware_version: _Word = None,
    online: bool | None = None,
    query: _QueryParameter = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> PageReply[ChargerSummary]:
    """Chargers that match the query and every given filter, by id.

    Who matches throughout comes exactly once, whatever changes between two pages.
    """
    where = ChargerFilter(vendor, model, site_id, firmware_version, online, query=query)
    page = await services.chargers.find(where, limit=limit, cursor=cursor)
    now = services.clock()
    return PageReply(
        items=tuple(ChargerSummary.of(view, now) for view in page.items), next_cursor=page.next_cursor
    )


@router.get("/counts")
@permit(Permission.READ)
async def count_chargers(
    services: Services,
    by: Annotated[
        str,
        Query(
            min_length=1,
            max_length=400,
            description="One or two fields of the query language, with a comma between them.",
            examples=["vendor,model"],
        ),
    ],
    query: _QueryParameter = None,
    top: Annotated[int, Query(ge=1, le=500, description="Groups shown; the rest is `other`.")] = 20,
    rates: Annotated[bool, Query(description="Also faults and failed updates of each group.")] = False,
) -> GroupsReply:
    """How many chargers there are of each kind, the largest groups first."""
    question = GroupQuestion(split_names(by), top, rates)
    return GroupsReply.model_validate(await services.chargers.count_by(ChargerFilter(query=query), question))


@router.post("", status_code=201)
@permit(Permission.FLEET_WRITE)
async def register_charger(
    response: Response, services: Services, caller: Caller, body: ChargerBody
) -> ChargerSummary:
    """Register one charger before its first contact. The same charger again changes nothing."""
    view = await Registrar(services, caller).register(body)
    response.headers["Location"] = f"/api/v1/chargers/{body.charger_id}"
    return ChargerSummary.of(view, services.clock())


@router.post("/import", response_model=ImportReply, openapi_extra=_IMPORT)
@permit(Permission.FLEET_WRITE, body_limit="import_bytes")
async def import_chargers(
    request: Request, services: Services, caller: Caller, dry_run: bool = False
) -> ImportReply:
    """Register many, from JSON or CSV. Each row stands on its own; the answer names every refused row."""
    rows = _rows(request.headers.get("content-type", ""), await request.body())
    if len(rows) > services.limits.import_rows:
        raise InvalidInput(f"{len(rows)} rows are more than {services.limits.import_rows} at once.")
    return await Registrar(services, caller).import_rows(rows, dry_run=dry_run)


@router.get("/{charger_id}", response_model=ChargerReply, responses=NOT_MODIFIED)
@permit(Permission.READ)
async def get_charger(request: Request, services: Services, charger_id: ChargerId) -> Response:
    """One charger with its twin and what is being done to it."""
    view = await services.chargers.get(charger_id)
    aside = view.charger.lifecycle is Lifecycle.QUARANTINED
    stays = await store_of(services).cases(charger_id, limit=1) if aside else ()
    desired = {each.section: each.desired for each in await services.twins.desired(charger_id)}
    whole = ChargerReply.whole(view, services.clock(), next(iter(stays), None), desired.get(TERMS))
    return tagged_reply(request, whole)


@router.get("/{charger_id}/timeline")
@permit(Permission.READ)
async def get_timeline(  # noqa: PLR0913 - one argument per filter, as the query string has it
    services: Services,
    charger_id: ChargerId,
    what: _What = "event",
    since: Annotated[Instant | None, Query(description="By our clock.")] = None,
    until: Annotated[Instant | None, Query(description="By our clock; not the end itself.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> PageReply[EntryReply]:
    """What happened to this charger, newest first; also what changed in its twin, and what people did."""
    question = question_of(what.split(","), since=since, until=until)
    await services.chargers.get(charger_id)
    page = await services.events.chronicle(charger_id, question, limit=limit, cursor=cursor)
    items = tuple(EntryReply.model_validate(each) for each in page.items)
    return PageReply(items=items, next_cursor=page.next_cursor)


@router.get("/{charger_id}/downloads")
@permit(Permission.READ)
async def get_downloads(
    services: Services, charger_id: ChargerId, limit: Limit = 20
) -> PageReply[DownloadReply]:
    """The firmware that this charger was sent for, latest first, and how far it got; seconds behind."""
    await services.chargers.get(charger_id)
    found, now = await services.downloads.of_charger(charger_id, limit=limit), services.clock()
    return PageReply(items=tuple(DownloadReply.of(one, now) for one in found), next_cursor=None)


def _rows(content_type: str, data: bytes) -> list[Any]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/csv":
        return _csv_rows(data)
    if kind != "application/json":
        raise InvalidInput("An import is application/json (a list) or text/csv (with a header line).")
    try:
        rows = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"The body is not valid JSON: {error}.") from None
    if not isinstance(rows, list):
        raise InvalidInput("The body is not a JSON list of chargers.")
    return rows


def _csv_rows(data: bytes) -> list[dict[str, str | None]]:
    try:
        text = data.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), restkey="surplus", strict=True)
        if missing := _COLUMNS.difference(reader.fieldnames or ()):
            raise InvalidInput("The CSV's header line lacks columns.", sorted(missing))
        # An empty cell is a value that was not given.
        return [{name: value or None for name, value in row.items()} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"The body is not readable CSV in UTF-8: {error}.") from None
