"""What a strict peer holds against a frame of ours: OCPP-J framing, JSON schema, form of its times.

Written anew, from the standards and the schemas alone: nothing of ``csms`` is used, so that a mistake
made there is not repeated here.
"""

import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

OCPP16, OCPP201, OCPP21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"
FOLDERS = {OCPP16: "v16", OCPP201: "v201", OCPP21: "v21"}

CALL, RESULT, ERROR = 2, 3, 4

# OCPP-J 1.6 section 4.2.3 (its two misspellings included); 2.x Part 4 section 4.3.
_CODES_1_6 = frozenset(
    {
        "NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError",
        "FormationViolation", "PropertyConstraintViolation", "OccurenceConstraintViolation",
        "TypeConstraintViolation", "GenericError",
    }
)  # fmt: skip
_CODES_2 = (_CODES_1_6 - {"FormationViolation", "OccurenceConstraintViolation"}) | {
    "FormatViolation",
    "OccurrenceConstraintViolation",
    "MessageTypeNotSupported",
    "RpcFrameworkError",
}
CODES = {OCPP16: _CODES_1_6, OCPP201: _CODES_2, OCPP21: _CODES_2}

_LIKE_A_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
# RFC 3339 in UTC; 2.x section 2.2.1: at most three decimals.
_STRICT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")


def request_fault(version: str, action: str, payload: Any) -> str | None:
    """What is wrong with a request, or None."""
    return _fault(version, action if version == OCPP16 else f"{action}Request", payload)


def answer_fault(version: str, action: str, payload: Any) -> str | None:
    """What is wrong with the answer to ``action``, or None."""
    return _fault(version, f"{action}Response", payload)


def _fault(version: str, name: str, payload: Any) -> str | None:
    validator = _validator(version, name)
    if validator is None:
        return f"{name} is no message of {version}"
    for error in validator.iter_errors(payload):
        return f"{name} at {list(error.instance_path)}: {error.message}"
    return next((f"{name}: {fault}" for fault in _values(payload)), None)


def _values(value: Any) -> Iterator[str]:
    """Rules that no schema has: no nulls, one form of time."""
    if value is None:
        yield "null is no value of OCPP; leave the field out"
    elif isinstance(value, str) and _LIKE_A_TIME.match(value) and not _STRICT_TIME.fullmatch(value):
        yield f"{value!r} is no UTC time with Z and at most milliseconds"
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _values(each)


@cache
def _validator(version: str, name: str) -> Any:
    spec = importlib.util.find_spec("ocpp")
    assert spec
    assert spec.origin
    path = Path(spec.origin).parent / FOLDERS[version] / "schemas" / f"{name}.json"
    if not path.exists():
        return None
    schema = json.loads(path.read_text("utf-8-sig"))
    draft = (
        jsonschema_rs.Draft6Validator if "draft-06" in schema["$schema"] else jsonschema_rs.Draft4Validator
    )
    return draft(schema, validate_formats=True)


@dataclass
class Framing:
    """The rules of OCPP-J for what one peer sends to one identity, over all its connections."""

    version: str
    used: set[str] = field(default_factory=set)
    """Message ids that the peer's calls had so far."""

    def read(self, raw: str | bytes) -> tuple[list[Any], str | None]:
        """The frame and what is wrong with it, if anything."""
        if isinstance(raw, bytes):
            return [], "a binary message; OCPP-J is text"
        try:
            frame = json.loads(raw)
        except ValueError as error:
            return [], f"not JSON: {error}"
        if not isinstance(frame, list) or not frame:
            return [], f"no array with a message type: {raw}"
        if json.dumps(frame, separators=(",", ":"), ensure_ascii=False) != raw:
            return frame, f"not compact: {raw}"
        return frame, self._shape(frame)

    def _shape(self, frame: list[Any]) -> str | None:
        lengths = {CALL: 4, RESULT: 3, ERROR: 5}
        if frame[0] not in lengths:
            return f"message type {frame[0]!r}"
        if len(frame) != lengths[frame[0]]:
            return f"{len(frame)} elements: {frame}"
        if not isinstance(frame[1], str) or not 1 <= len(frame[1]) <= 36:
            return f"message id {frame[1]!r}"
        if frame[0] == ERROR:
            return self._error(frame)
        if frame[0] == CALL:
            if frame[1] in self.used:
                return f"message id {frame[1]} was used before"
            self.used.add(frame[1])
            return request_fault(self.version, frame[2], frame[3])
        return None

    def _error(self, frame: list[Any]) -> str | None:
        if frame[2] not in CODES[self.version]:
            return f"{frame[2]!r} is no error code of {self.version}"
        if not isinstance(frame[3], str) or len(frame[3]) > 255 or not isinstance(frame[4], dict):
            return f"not a CALLERROR: {frame}"
        return None
