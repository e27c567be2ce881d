"""The committed OpenAPI document is the api's, every error in it is a problem, and the api keeps to it."""

import json
import os
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema_rs import validator_for
from schemathesis.specs.openapi.checks import positive_data_acceptance

import api
from api.image_pieces import MEDIA_TYPE
from api.ports import ApiLimits
from api.vendor_fetch import VendorFetch
from storage.access import Role
from tests.support.house import House

schemathesis.serializer.alias(MEDIA_TYPE, "application/octet-stream")
COMMITTED = Path(api.__path__[0]) / "openapi.json"


def _populated() -> House:
    house = House(limits=ApiLimits(stream_seconds=0.0))
    house.add_site("harbour")
    for number in range(6):
        house.add_charger(f"CP-{number}")
    house.add_artifact("1.1.0", counter=2)
    house.app.state.vendor_fetch = VendorFetch(resolve=_nobody)
    return house


async def _nobody(host: str, port: int) -> list[str]:
    """No test asks a resolver for what a fuzzer makes up."""
    raise OSError(f"nobody knows {host}:{port}")


HOUSE = _populated()
DOCUMENT: dict[str, Any] = HOUSE.app.openapi()


def test_the_committed_document_is_this_apis() -> None:
    """After a wanted change: AMPWAVE_WRITE_OPENAPI=1 pytest tests/unit/api/test_contract.py, and commit."""
    now = json.dumps(DOCUMENT, indent=1, sort_keys=True) + "\n"
    if os.environ.get("AMPWAVE_WRITE_OPENAPI"):
        COMMITTED.write_text(now)

    assert COMMITTED.read_text() == now


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    ]


def test_every_operation_needs_a_token_says_what_it_does_and_answers_problems() -> None:
    for path, method, operation in operations():
        if not path.startswith("/api/"):
            continue
        assert operation["security"] == [{"HTTPBearer": []}], path
        assert operation.get("description"), (method, path)
        for status in ("401", "403", "422", "503"):
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"], path


def test_every_reference_leads_somewhere() -> None:
    whole = DOCUMENT
    schemas = whole["components"]["schemas"]
    references = {part.split('"')[0] for part in json.dumps(whole).split('"#/components/schemas/')[1:]}

    assert references <= set(schemas)
    assert {"Problem", "ManifestBody", "ChargerBody"} <= references


async def test_a_real_problem_fits_the_documented_one() -> None:
    schema = DOCUMENT["components"]["schemas"]["Problem"]
    async with House().client() as client:
        body = (await client.get("/api/v1/fleet")).json()

    validator_for(schema).validate(body)


SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", HOUSE.app)


@SCHEMA.include(path_regex="^/(api|livez|readyz)").parametrize()
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_the_api_keeps_to_its_document(case: schemathesis.Case) -> None:
    token = HOUSE.texts[Role.ADMIN]
    # A valid shape may still break a rule of ours (a time in the past, shares that do not add up): 422.
    case.call_and_validate(
        headers={"Authorization": f"Bearer {token}"}, excluded_checks=[positive_data_acceptance]
    )
