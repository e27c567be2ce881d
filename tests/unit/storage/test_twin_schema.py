"""The schema says what the twin has, no more and no less, and what may be set."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import twin_schema as schema
from storage.twin import SECTION_TYPES
from storage.twin_schema import Severity, depth_of, desired_problems, field_of, severity_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def paths_of(kind: type[Any], prefix: str) -> Iterator[str]:
    """Every leaf of a section's dataclass, ``*`` for the keys of mappings."""
    hints = get_type_hints(kind)
    for each in fields(kind):
        hint, path = hints[each.name], f"{prefix}.{each.name}"
        if getattr(hint, "__origin__", None) is dict:
            inner = get_args(hint)[1]
            yield from paths_of(inner, f"{path}.*") if is_dataclass(inner) else [f"{path}.*"]
        else:
            yield path


@pytest.mark.requirement("F11")
def test_every_field_of_the_twin_is_in_the_schema_and_no_other() -> None:
    coded = {path for name, kind in SECTION_TYPES.items() for path in paths_of(kind, name)}
    assert {
        each.path for each in schema.FIELDS if each.section not in (schema.REGISTER, *schema.DESIRED_ONLY)
    } == coded
    assert len({each.path for each in schema.FIELDS}) == len(schema.FIELDS)
    assert all(each.meaning for each in schema.FIELDS)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("firmware.version", "firmware.version"),
        ("configuration.values.OCPPCommCtrlr.HeartbeatInterval", "configuration.values.*"),
        ("operation.connectors.1.2.status", "operation.connectors.*.status"),
        ("operation.transactions.tx.1.suspect", "operation.transactions.*.suspect"),
        ("operation.connectors.*.status", None),
        ("firmware.colour", None),
        ("firmware", None),
        ("configuration.values.", None),
        ("operation.connectors.1.2.colour", None),
    ],
)
def test_paths_name_fields(path: str, found: str | None) -> None:
    field = field_of(path)
    assert (field.path if field else None) == found


@pytest.mark.requirement("F15")
def test_what_decides_trust_is_critical_by_default() -> None:
    critical = (
        "firmware.version",
        "security.profile",
        "security.roots",
        "configuration.values.CentralSystemURL",
    )
    assert {severity_of(path) for path in critical} == {Severity.CRITICAL}
    assert severity_of("configuration.values.SecurityCtrlr.SecurityProfile") is Severity.CRITICAL
    assert severity_of("configuration.values.LightIntensity") is Severity.WARNING


@pytest.mark.parametrize(
    ("section", "desired", "problem"),
    [
        ("configuration", {"values": {"A": 1}}, "configuration.values.A: must be a text without NUL"),
        ("configuration", {"values": {"A": "x" * 2501}}, "has 2501 characters"),
        ("configuration", {"values": {"A" * 201: "x"}}, "has 201 characters"),
        ("configuration", {"values": {"A\n": "x"}}, "the schema has no such field"),
        ("configuration", {"read_at": "2026-01-01T00:00:00Z"}, "nobody can set it"),
        ("firmware", {"version": "1", "colour": "red"}, "firmware.colour: the schema has no such field"),
        ("firmware", {"status": "Installed"}, "nobody can set it"),
        ("security", {"profile": True}, "must be a number"),
        ("security", {"roots": ["a", 1]}, "must be a list of texts"),
        ("power", {"group_max_down": float("nan")}, "power.group_max_down: must be a number"),
        ("power", {"group_max_down": -1}, "power.group_max_down: must be 0 or more"),
        (
            "operation",
            {},
            "only configuration, firmware, security, power, network, terms have a desired side",
        ),
    ],
)
@pytest.mark.requirement("F11")
def test_what_lies_outside_the_schema_cannot_be_desired(section: str, desired: Any, problem: str) -> None:
    problems = desired_problems(section, desired)
    assert len(problems) == 1
    assert problem in problems[0]


def test_what_the_schema_knows_can_be_desired() -> None:
    assert desired_problems("configuration", {"values": {"A.B": "1", "C": ""}}) == []
    assert desired_problems("firmware", {"version": "1.2"}) == []
    assert desired_problems("security", {"profile": 2, "roots": ["CSMSRootCertificate/ab/01"]}) == []


def test_a_deep_nest_is_refused_before_anything_else() -> None:
    nest: dict[str, Any] = {}
    for _ in range(schema.MAX_DEPTH):
        nest = {"values": nest}
    assert desired_problems("configuration", nest) == ["configuration: nested 9 deep, more than 8"]


@given(JSON)
def test_depth_grows_by_one_with_each_wrapping(value: Any) -> None:
    depth = depth_of(value)
    assert depth_of([value]) == depth_of({"a": value}) == depth + 1
    assert (depth == 0) == (not isinstance(value, list | dict))


@given(st.dictionaries(st.text(max_size=210), st.text(max_size=20), max_size=5))
def test_a_variable_is_admitted_or_refused_never_both(values: dict[str, str]) -> None:
    admitted = schema.admitted_variables(values)
    assert len(admitted) + len(schema.refused_variables(values)) == len(values)
    assert all(field_of(f"{schema.VARIABLES}.{name}") for name in admitted)
