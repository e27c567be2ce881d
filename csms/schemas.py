"""Is a payload what the specification allows? The JSON schemas of the ``ocpp`` package, run by jsonschema-rs.

Compiled on first use and kept. ``format`` is not checked: a charger's date is read tolerantly
(``csms.timestamps``) rather than refused.
"""

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from csms.frames import OCPP16, OCPP21, OCPP201, Fault, Payload

_FOLDERS = {OCPP16: "v16", OCPP201: "v201", OCPP21: "v21"}

# Which OCPP-J error a broken JSON schema keyword is. Anything else breaks a property's own rule.
_FAULTS = {
    "required": Fault.OCCURRENCE,
    "minItems": Fault.OCCURRENCE,
    "maxItems": Fault.OCCURRENCE,
    "type": Fault.TYPE,
    "additionalProperties": Fault.FORMAT,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """Why a payload is refused; ``detail`` names places and rules, never values (they may be secret)."""

    fault: Fault
    detail: str


def knows(dialect: str, action: str) -> bool:
    """Whether this version of OCPP has such a request at all."""
    return action in actions(dialect)


def is_send(action: str) -> bool:
    """Whether it comes as a SEND, which wants no answer, and never as a CALL (2.1 Part 4 section 4.2)."""
    return action in _SENDS


@dataclass(frozen=True, slots=True)
class Flaw:
    """One broken rule, and where."""

    path: tuple[str | int, ...]
    rule: str
    """The keyword of JSON schema."""
    unexpected: tuple[str, ...] = ()
    """The names that ``additionalProperties`` found."""
    limit: int = 0
    """What ``maxLength`` allows."""


def flaws(dialect: str, action: str, payload: Payload) -> tuple[Flaw, ...]:
    """Every rule that a request of a known action breaks."""
    found = _validator(dialect, _request_file(dialect, action)).iter_errors(payload)
    return tuple(
        Flaw(
            tuple(error.instance_path),
            error.kind.name,
            tuple(getattr(error.kind, "unexpected", ())),
            getattr(error.kind, "limit", 0),
        )
        for error in found
    )


def check_request(dialect: str, action: str, payload: Payload) -> Violation | None:
    """The first rule that a request breaks, or None. NotImplemented for an action the version lacks."""
    if action not in actions(dialect):
        return Violation(Fault.NOT_IMPLEMENTED, f"{dialect} has no action of this name")
    return _check(_validator(dialect, _request_file(dialect, action)), payload)


def check_answer(dialect: str, action: str, payload: Payload) -> Violation | None:
    """The first rule that an answer to ``action`` breaks, or None."""
    return _check(_validator(dialect, f"{action}Response.json"), payload)


def _check(validator: Any, payload: Payload) -> Violation | None:
    if validator.is_valid(payload):
        return None
    error = next(iter(validator.iter_errors(payload)))
    place = "/" + "/".join(map(str, error.instance_path))
    return Violation(_FAULTS.get(error.kind.name, Fault.PROPERTY), f"{place}: {error.message}"[:500])


def _request_file(dialect: str, action: str) -> str:
    if dialect == OCPP16 or action in _SENDS:
        return f"{action}.json"
    return f"{action}Request.json"


_SENDS = frozenset({"NotifyPeriodicEventStream"})
"""OCPP 2.1 messages of type SEND, whose schema has no ``Request`` in its name."""


@cache
def _folder(dialect: str) -> Path:
    # The package is found, not imported: its loop and its enums are of no use here.
    spec = importlib.util.find_spec("ocpp")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the ocpp package is not installed; its JSON schemas are needed")
    return Path(spec.origin).parent / _FOLDERS[dialect] / "schemas"


@cache
def actions(dialect: str) -> frozenset[str]:
    """Every request of this version, in both directions."""
    names = {path.stem for path in _folder(dialect).glob("*.json")}
    if dialect == OCPP16:
        return frozenset(name for name in names if not name.endswith("Response"))
    requests = {name.removesuffix("Request") for name in names if name.endswith("Request")}
    return frozenset(requests | (names & _SENDS))


@cache
def _validator(dialect: str, file: str) -> Any:
    schema = orjson.loads((_folder(dialect) / file).read_bytes().removeprefix(b"\xef\xbb\xbf"))
    _bound_integers(schema)
    # OCPP 1.6 schemas are draft 4, the security whitepaper's and 2.x draft 6.
    draft6 = "draft-06" in str(schema.get("$schema", ""))
    build = jsonschema_rs.Draft6Validator if draft6 else jsonschema_rs.Draft4Validator
    return build(schema, validate_formats=False, mask="value")


_MAX_INTEGER = 2**63 - 1
"""Of the store, and far above the 32 bits that the standard gives an integer (2.0.1 Part 2 section 2.1)."""


def _bound_integers(schema: Any) -> None:
    """Draft 6 takes 1e30 for a whole number, which nothing behind the door could store."""
    if isinstance(schema, list):
        for each in schema:
            _bound_integers(each)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "integer":
        schema.setdefault("maximum", _MAX_INTEGER)
        schema.setdefault("minimum", -_MAX_INTEGER)
    for each in schema.values():
        _bound_integers(each)
