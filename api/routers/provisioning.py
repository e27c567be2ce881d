"""Chargers on their way into service: enrolments, claims, manufacturers' lists, templates (F42-F53)."""

import base64
import csv
import io
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request

from api.acts import audit
from api.auth import Permission
from api.enrolling import Enroller, Row, store_of
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import Limit
from api.schemas import provisioning as shapes
from api.schemas.common import ChargerId, PageReply, Slug
from csms.redaction import is_secret
from signing.manifest import open_manifest
from storage.asset_rules import asset_problems
from storage.canonical import sha256_hex
from storage.errors import Conflict, InvalidInput
from storage.provisioning import (
    Attestation,
    Claim,
    EnrolmentState,
    FactoryUnit,
    Redemption,
    SiteConstraints,
)
from storage.templates import template_problems

router = APIRouter(prefix="/api/v1/provisioning", tags=["provisioning"], route_class=GuardedRoute)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": shapes.EnrolmentBody.model_json_schema()}
            },
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}
_LIST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "description": "A DSSE envelope."}}},
    }
}


@router.post("/enrolments", response_model=shapes.EnrolledReply, openapi_extra=_BODY)
@permit(Permission.FLEET_WRITE, body_limit="import_bytes")
async def enrol_chargers(
    request: Request, services: Services, caller: Caller, dry_run: bool = False
) -> shapes.EnrolledReply:
    """Bring chargers in, from JSON or CSV. Each row stands on its own; the answer names every refused line.

    The same row again changes nothing. They are parked until they have proved themselves, and are no target
    of campaigns before their checklist passed.
    """
    rows = _rows(request.headers.get("content-type", ""), await request.body())
    if len(rows) > services.limits.import_rows:
        raise InvalidInput(f"{len(rows)} rows are more than {services.limits.import_rows} at once.")
    return await Enroller(services, caller).enrol(rows, dry_run=dry_run)


@router.get("/enrolments")
@permit(Permission.READ)
async def list_enrolments(
    services: Services,
    open_only: Annotated[bool, Query(alias="open", description="Only those that wait.")] = False,
    limit: Limit = 100,
) -> PageReply[shapes.EnrolmentReply]:
    """Those that wait first, oldest first, each with what it waits for."""
    found = await store_of(services).find(open_only=open_only, limit=limit)
    return PageReply(items=tuple(shapes.EnrolmentReply.of(each) for each in found))


@router.get("/enrolments/{charger_id}")
@permit(Permission.READ)
async def get_enrolment(services: Services, charger_id: ChargerId) -> shapes.EnrolmentReply:
    """One charger: where it is, its checklist, and what is missing of its record."""
    return shapes.EnrolmentReply.of(await store_of(services).get(charger_id))


@router.post("/enrolments/{charger_id}/visit", status_code=202)
@permit(Permission.CHARGER_OPERATE)
async def visit_charger(services: Services, charger_id: ChargerId) -> shapes.EnrolmentReply:
    """See now how far it can go; it is looked at by itself, too."""
    found = await store_of(services).get(charger_id)
    if found.finished_at is None:
        await services.orchestrator.visit_charger(charger_id)
    return shapes.EnrolmentReply.of(found)


@router.post("/enrolments/{charger_id}/attestations")
@permit(Permission.CHARGER_ATTEST)
async def attest(
    services: Services, caller: Caller, charger_id: ChargerId, body: shapes.AttestationBody
) -> shapes.EnrolmentReply:
    """What was measured at the charger, in the caller's name. Told again it replaces the older result."""
    given = Attestation(body.name, body.passed, caller.name, services.clock(), body.value)
    found = await store_of(services).attest(charger_id, given)
    if found.state is EnrolmentState.CONFIGURED:
        await services.orchestrator.visit_charger(charger_id)
    return shapes.EnrolmentReply.of(found)


@router.put("/enrolments/{charger_id}/asset")
@permit(Permission.FLEET_WRITE)
async def describe_asset(
    services: Services, caller: Caller, charger_id: ChargerId, body: shapes.AssetBody
) -> shapes.EnrolmentReply:
    """What is known of it beside the network, whole. Impossible values are refused."""
    before = await store_of(services).get(charger_id)
    asset = body.asset(before.asset.installer)
    if problems := asset_problems(asset):
        raise InvalidInput("This cannot be so.", problems)
    found = await store_of(services).describe(charger_id, asset)
    await audit(services, caller, "charger.described", f"charger/{charger_id}")
    return shapes.EnrolmentReply.of(found)


@router.post("/claims", status_code=201)
@permit(Permission.FLEET_WRITE)
async def issue_claim(services: Services, caller: Caller, body: shapes.ClaimBody) -> shapes.ClaimReply:
    """Leave for an installer to bring this one charger in; single use, and shown this once."""
    secret = base64.urlsafe_b64encode(services.random_bytes(24)).decode().rstrip("=")
    claim, now = f"clm_{secret}", services.clock()
    given = Claim(
        sha256_hex(claim.encode()),
        body.charger_id,
        body.site_id,
        body.serial_number,
        body.issued_to,
        caller.name,
        now,
        now + timedelta(minutes=body.minutes),
    )
    await store_of(services).issue_claim(given)
    return shapes.ClaimReply(claim=claim, charger_id=body.charger_id, expires_at=given.expires_at)


@router.post("/claims/redeem", responses={409: {"description": "It opens nothing: wrong, used or too late"}})
@permit(Permission.CLAIM_REDEEM)
async def redeem_claim(services: Services, caller: Caller, body: shapes.RedeemBody) -> shapes.RedeemReply:
    """Bring the charger in: its first password, shown this once. Why a claim opens nothing is not said."""
    password = services.random_bytes(20).hex()
    given = Redemption(
        sha256_hex(body.claim.encode()),
        body.site_id,
        body.serial_number,
        caller.name,
        services.hash_charger_secret(password),
        services.clock(),
    )
    try:
        charger_id = await store_of(services).redeem(given)
    except Conflict:
        await audit(services, caller, "claim.refused", f"site/{body.site_id}", serial=body.serial_number)
        raise
    return shapes.RedeemReply(charger_id=charger_id, password=password)


@router.post("/manifests", status_code=201, openapi_extra=_LIST)
@permit(Permission.FLEET_WRITE, body_limit="import_bytes")
async def import_manifest(
    request: Request,
    services: Services,
    caller: Caller,
    site_id: Annotated[Slug, Query(description="Where these chargers go.")],
    template: Annotated[Slug | None, Query()] = None,
    profile: Annotated[int, Query(ge=1, le=3)] = 2,
) -> shapes.ListedReply:
    """A manufacturer's signed list: its units may come by the keys that their factory gave them.

    Whose keys are believed is a setting of this deployment. A list for another environment is refused.
    """
    manifest = open_manifest(await request.body(), services.makers())
    if manifest.environment != services.environment:
        raise InvalidInput(f"The list is for {manifest.environment!r}, and this is {services.environment!r}.")
    units = [
        FactoryUnit(
            manifest.vendor,
            unit.serial_number,
            unit.model,
            site_id,
            manifest.sha256,
            unit.hardware_revision,
            unit.key_sha256,
            template,
            profile,
        )
        for unit in manifest.units
    ]
    new = await store_of(services).allow(units, caller.name, services.clock())
    return shapes.ListedReply(
        vendor=manifest.vendor, batch=manifest.batch, sha256=manifest.sha256, units=len(units), new=new
    )


@router.get("/strangers")
@permit(Permission.READ)
async def list_strangers(services: Services, limit: Limit = 100) -> PageReply[shapes.StrangerReply]:
    """Who came with a manufacturer's certificate and is on no list; each was turned away."""
    found = await store_of(services).strangers(limit=limit)
    return PageReply(items=tuple(shapes.StrangerReply.model_validate(each) for each in found))


@router.get("/templates")
@permit(Permission.READ)
async def list_templates(services: Services) -> PageReply[shapes.TemplateReply]:
    """By name."""
    found = await store_of(services).templates()
    return PageReply(items=tuple(shapes.TemplateReply(name=name, body=dict(body)) for name, body in found))


@router.put("/templates/{name}")
@permit(Permission.FLEET_WRITE)
async def put_template(
    services: Services, caller: Caller, name: Annotated[Slug, Path()], body: shapes.TemplateBody
) -> shapes.TemplateReply:
    """Write a template; enrolments under way take the new one at their next step."""
    template = body.to_noun(name)
    named = (*(f"ocpp16.{each}" for each in template.ocpp16), *(f"ocpp2.{each}" for each in template.ocpp2))
    secret = [
        f"{each}: is a secret, which a charger is given by itself: every one has its own"
        for each in named
        if is_secret(each)
    ]
    if problems := [*template_problems(template), *secret]:
        raise InvalidInput(f"The template {name} cannot be used.", problems)
    await store_of(services).put_template(name, asdict(template), caller.name, services.clock())
    return shapes.TemplateReply(name=name, body=asdict(template))


@router.put("/sites/{site_id}/constraints")
@permit(Permission.FLEET_WRITE)
async def put_constraints(
    services: Services, caller: Caller, site_id: Annotated[Slug, Path()], body: shapes.ConstraintsBody
) -> shapes.ConstraintsBody:
    """What a site's supply allows; templates that take it refuse chargers of sites without."""
    await store_of(services).put_constraints(
        SiteConstraints(site_id, body.values), caller.name, services.clock()
    )
    return body


def _rows(content_type: str, data: bytes) -> list[Row]:
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    if kind == "text/csv":
        return _csv_rows(data)
    if kind != "application/json":
        raise InvalidInput("An import is application/json (a list) or text/csv (with a header line).")
    try:
        rows = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"The body is not JSON: {error}.") from None
    if not isinstance(rows, list):
        raise InvalidInput("The body is not a JSON list.")
    return [Row(number, row) for number, row in enumerate(rows, start=1)]


def _csv_rows(data: bytes) -> list[Row]:
    rows: list[Row] = []
    try:
        reader = csv.DictReader(
            io.StringIO(data.decode("utf-8-sig"), newline=""), restkey="surplus", strict=True
        )
        names = reader.fieldnames or ()
        lacking = sorted({"charger_id", "site_id", "vendor", "model", "serial_number"} - set(names))
        if lacking:
            raise InvalidInput(f"The header line lacks {', '.join(lacking)}.")
        for row in reader:
            rows.append(Row(reader.line_num, {name: value for name, value in row.items() if value}))  # noqa: PERF401
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"The body is not readable CSV in UTF-8: {error}.") from None
    return rows
