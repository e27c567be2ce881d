"""Who is who: names of others, identities that change on record, doubts that a person settles, notes."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from api.acts import audit
from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.once import bind
from api.replies import IdempotencyKey, update_id
from api.routers.twins import IfMatch, expected_version
from api.schemas.common import ChargerId, PageReply, Slug
from api.schemas.registry import (
    AcceptBody,
    AcceptReply,
    ErasureBody,
    ErasureReply,
    IdentifierBody,
    IdentifierReply,
    IdentityBody,
    IdentityReply,
    NoteBody,
    NoteReply,
)
from csms.projection import project
from storage.errors import InvalidInput
from storage.events import NO_SESSION_EPOCH, EventRecord
from storage.identifiers import (
    IDENTITY_FIELDS,
    RESERVED,
    Identifier,
    Reidentification,
    charger_subject,
    check_namespace,
    check_subject,
    check_value,
)
from storage.note import NoteAdded
from storage.privacy import Erasure
from storage.trust import Acceptance

router = APIRouter(prefix="/api/v1", tags=["registry"], route_class=GuardedRoute)

_Namespace = Annotated[
    str, Query(max_length=32, examples=["erp"], description="For example `erp`, `serial`.")
]
_Value = Annotated[str, Query(max_length=200, examples=["4711"], description="A serial is `VENDOR/SERIAL`.")]
_NOBODY: dict[int | str, dict[str, Any]] = {404: {"description": "Nothing of ours is that"}}
_AHEAD = timedelta(minutes=5)


@router.get("/identifiers", responses=_NOBODY)
@permit(Permission.READ)
async def find_identifier(services: Services, namespace: _Namespace, value: _Value) -> IdentifierReply:
    """What of ours is called that. Serial numbers and OCPP identities are names like any other."""
    found = await services.registry.lookup(check_namespace(namespace), check_value(value))
    return IdentifierReply.model_validate(found)


@router.put("/identifiers", responses=_NOBODY)
@permit(Permission.FLEET_WRITE)
async def put_identifier(services: Services, caller: Caller, body: IdentifierBody) -> IdentifierReply:
    """Give a site, charger, EVSE or connector a name; the same again changes nothing."""
    _free(body.namespace)
    check_subject(body.subject)
    given = Identifier(body.namespace, body.value, body.subject, caller.name, services.clock())
    stored = await services.registry.identify(given)
    if stored.since == given.since:
        await audit(
            services, caller, "identifier.added", body.subject, namespace=body.namespace, value=body.value
        )
    return IdentifierReply.model_validate(stored)


@router.delete("/identifiers", responses=_NOBODY)
@permit(Permission.FLEET_WRITE)
async def delete_identifier(
    services: Services, caller: Caller, namespace: _Namespace, value: _Value
) -> IdentifierReply:
    """Take a name away."""
    _free(check_namespace(namespace))
    was = await services.registry.forget(namespace, check_value(value))
    await audit(services, caller, "identifier.removed", was.subject, namespace=namespace, value=value)
    return IdentifierReply.model_validate(was)


@router.get("/chargers/{charger_id}/identifiers")
@permit(Permission.READ)
async def list_charger_identifiers(services: Services, charger_id: ChargerId) -> PageReply[IdentifierReply]:
    """What a charger, its EVSEs and connectors are called."""
    await services.chargers.get(charger_id)
    found = await services.registry.names(charger_subject(charger_id))
    return PageReply(items=tuple(IdentifierReply.model_validate(each) for each in found))


@router.get("/sites/{site_id}/identifiers")
@permit(Permission.READ)
async def list_site_identifiers(services: Services, site_id: Slug) -> PageReply[IdentifierReply]:
    """What a site is called."""
    found = await services.registry.names(f"site/{site_id}")
    return PageReply(items=tuple(IdentifierReply.model_validate(each) for each in found))


@router.patch(
    "/chargers/{charger_id}/identity",
    responses={
        409: {"description": "Another charger's serial number, or it is in maintenance or retired"},
        412: {"description": "Somebody else changed it first"},
        428: {"description": "If-Match is missing"},
    },
)
@permit(Permission.CHARGER_IDENTITY)
async def reidentify_charger(
    response: Response,
    services: Services,
    caller: Caller,
    charger_id: ChargerId,
    body: IdentityBody,
    if_match: IfMatch = None,
) -> IdentityReply:
    """Register another vendor, model, serial number or hardware of a charger: an exception, always audited.

    If-Match is its `identity_version`. The OCPP identity never changes: another one is another charger.
    """
    version = expected_version(if_match)
    values = {name: getattr(body, name) for name in IDENTITY_FIELDS if name in body.model_fields_set}
    if not values:
        raise InvalidInput("Nothing is to be changed.", hint=f"Give one of {', '.join(IDENTITY_FIELDS)}.")
    given = Reidentification(charger_id, version, values, caller.name, body.reason, services.clock())
    after = await services.registry.reidentify(given)
    response.headers["ETag"] = f'"{after.identity_version}"'
    return IdentityReply.model_validate(after)


@router.post("/chargers/{charger_id}/accept", responses={409: {"description": "Nothing of it is in doubt"}})
@permit(Permission.TWIN_CONTROL)
async def accept_reported(
    services: Services, caller: Caller, charger_id: ChargerId, body: AcceptBody
) -> AcceptReply:
    """Somebody looked: what this charger reports here is right, though our records say otherwise."""
    await services.chargers.get(charger_id)
    given = Acceptance(charger_id, body.paths, caller.name, body.reason, services.clock())
    return AcceptReply(charger_id=charger_id, accepted=tuple(await services.registry.accept(given)))


@router.post("/chargers/{charger_id}/notes", status_code=201)
@permit(Permission.NOTE_ADD)
async def add_note(
    response: Response,
    services: Services,
    caller: Caller,
    charger_id: ChargerId,
    body: NoteBody,
    key: IdempotencyKey = None,
) -> NoteReply:
    """Put a note, ticket, visit or RMA on the charger's timeline. It is never changed; add another one.

    For webhooks: the same Idempotency-Key again, as after a lost answer, adds nothing.
    """
    await services.chargers.get(charger_id)
    now = services.clock()
    happened = body.happened_at or now
    if happened > now + _AHEAD:
        raise InvalidInput("happened_at is in the future.", hint="A note tells what happened.")
    if key:
        once = update_id("note", caller.name, key)
        await bind(services, f"charger/{charger_id}/{once}", body.model_dump(mode="json"))
    event = NoteAdded(body.note, body.text, caller.name, body.reference)
    dedupe = f"note:{caller.name}:{key}"[:200] if key else None
    record = EventRecord(charger_id, event, happened, now, NO_SESSION_EPOCH, dedupe)
    added = bool(await services.ingest.commit([], [record], project))
    response.status_code = 201 if added else 200
    return NoteReply(charger_id=charger_id, added=added)


@router.post("/erasures")
@permit(Permission.PRIVACY_ERASE)
async def erase_person(services: Services, caller: Caller, body: ErasureBody) -> ErasureReply:
    """Take the hash of an id token out of all sessions and events. The audit log never had it."""
    token_hash = services.hash_charger_secret(body.id_token.get_secret_value()).hex()
    given = Erasure(token_hash, caller.name, body.reason, services.clock())
    return ErasureReply.model_validate(await services.privacy.erase(given))


def _free(namespace: str) -> None:
    if namespace in RESERVED:
        raise InvalidInput(
            f"The namespace {namespace} is kept by registration.",
            hint="Another serial number is registered: ampwave charger reidentify.",
        )
