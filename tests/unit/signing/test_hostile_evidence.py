"""Evidence from strangers: whatever stands in any of its places, it is read or refused, in words."""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from signing import vex
from signing.dsse import sign_payload
from signing.evidence import judge
from signing.evidence_policy import read_policy
from signing.provenance import check_shape
from signing.sbom import read_sbom
from storage.artifact import Compatible
from storage.errors import AmpwaveError
from storage.evidence import EvidenceKind as Kind
from tests.support import evidence_maker as made
from tests.support.evidence_maker import BUILDER, SHA

MODELS = (Compatible("Voltworks", "VW-22"),)
CVE = "CVE-2026-1111"


def mutants(value: Any, path: tuple[Any, ...] = ()) -> Iterator[Any]:
    """The document with another value in each of its places."""
    yield from (None, -1, 2**70, True, [], {}, [None], {"a": [1]}, "x")
    for place in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        for changed in mutants(value[place], (*path, place)):
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[place] = changed
            yield copy


@pytest.mark.requirement("S49", "S50", "S51", "S52")
@pytest.mark.parametrize(
    ("kind", "whole"),
    [
        (Kind.PROVENANCE, made.provenance()),
        (Kind.VEX, made.openvex(CVE, timestamp="2026-11-01T00:00:00Z")),
        (Kind.VEX, made.cyclonedx_vex(CVE)),
        (Kind.SBOM, made.sbom(SHA, CVE)),
    ],
)
def test_no_value_in_any_place_is_more_than_a_refusal(tmp_path: Path, kind: Kind, whole: bytes) -> None:
    policy = read_policy(made.write_policy(tmp_path, (), [{"cveID": CVE}]))
    document = json.loads(whole)
    hostile = [json.dumps(each).encode() for each in mutants(document)]
    if "payload" in document:
        key = BUILDER if kind is Kind.PROVENANCE else made.PSIRT
        inner = json.loads(base64.b64decode(document["payload"]))
        hostile += [
            sign_payload(json.dumps(each).encode(), document["payloadType"], key) for each in mutants(inner)
        ]
    check = {Kind.PROVENANCE: check_shape, Kind.VEX: vex.check_shape, Kind.SBOM: read_sbom}[kind]
    for data in hostile:
        with suppress(AmpwaveError):
            check(data, SHA)
        judgement = judge(SHA, MODELS, {Kind.SBOM: made.sbom(SHA, CVE), kind: data}, policy)
        assert all(isinstance(why, str) for why in judgement.problems)
