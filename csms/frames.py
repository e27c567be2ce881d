"""OCPP-J frames: text to values and back. Pure; OCPP-J 1.6 section 4, OCPP 2.0.1 and 2.1 Part 4 section 4."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

Payload = dict[str, Any]
"""The JSON object of a message. It never travels past the dialect."""

OCPP16 = "ocpp1.6"
OCPP201 = "ocpp2.0.1"
OCPP21 = "ocpp2.1"

UNREADABLE_ID = "-1"
"""OCPP 2.0.1 Part 4 section 4.2.3: the message id of a CALLERROR to a frame whose own could not be read."""

MAX_MESSAGE_ID = 255
"""The specifications say 36; longer ones work as well, and refusing them would lock a charger out."""
_MAX_DESCRIPTION = 255

_CALL, _CALL_RESULT, _CALL_ERROR, _CALL_RESULT_ERROR, _SEND = 2, 3, 4, 5, 6


class Fault(StrEnum):
    """What is wrong with a message, over all versions; ``error_code`` gives a version's own spelling."""

    FORMAT = "FormatViolation"
    RPC = "RpcFrameworkError"
    MESSAGE_TYPE = "MessageTypeNotSupported"
    OCCURRENCE = "OccurrenceConstraintViolation"
    PROPERTY = "PropertyConstraintViolation"
    TYPE = "TypeConstraintViolation"
    PROTOCOL = "ProtocolError"
    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    SECURITY = "SecurityError"
    INTERNAL = "InternalError"
    GENERIC = "GenericError"


# OCPP-J 1.6 section 4.2.3 spells two codes in its own way (errata 5.1, 5.2) and lacks two of 2.x.
_CODES_16 = {
    Fault.FORMAT: "FormationViolation",
    Fault.RPC: "FormationViolation",
    Fault.MESSAGE_TYPE: "FormationViolation",
    Fault.OCCURRENCE: "OccurenceConstraintViolation",
}


def error_code(fault: Fault, dialect: str) -> str:
    """The CALLERROR code of a fault as this version of OCPP writes it."""
    return _CODES_16.get(fault, fault.value) if dialect == OCPP16 else fault.value


@dataclass(frozen=True, slots=True)
class Call:
    """A request that wants an answer."""

    message_id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class CallResult:
    """The answer to a request."""

    message_id: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class CallError:
    """A request was refused."""

    message_id: str
    code: str
    description: str
    details: Payload


@dataclass(frozen=True, slots=True)
class CallResultError:
    """OCPP 2.1: an answer was refused; nothing answers this."""

    message_id: str
    code: str
    description: str
    details: Payload


@dataclass(frozen=True, slots=True)
class Send:
    """OCPP 2.1: a message that wants no answer."""

    message_id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class Malformed:
    """Not a message. ``answerable``: a CALLERROR may go back (never for a broken answer)."""

    message_id: str | None
    fault: Fault
    detail: str
    answerable: bool = True


Frame = Call | CallResult | CallError | CallResultError | Send | Malformed


def parse(text: str | bytes, dialect: str) -> Frame:
    """What a received WebSocket message is. Never raises."""
    if isinstance(text, bytes):
        return Malformed(None, Fault.RPC, "a binary message; OCPP-J is text")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return Malformed(None, Fault.RPC, f"not JSON: {error.msg} at character {error.pos}")
    if not isinstance(value, list) or not value:
        return Malformed(None, Fault.RPC, "not a JSON array with a message type")
    return _message(value, dialect)


def _message(value: list[Any], dialect: str) -> Frame:
    message_id = _readable_id(value)
    kind = value[0]
    if type(kind) is not int or kind not in _KINDS[dialect]:
        return Malformed(
            message_id, Fault.MESSAGE_TYPE, f"message type {_short(kind)} is not one of {dialect}"
        )
    if message_id is None:
        return Malformed(None, Fault.RPC, "the message id is not a string", kind in (_CALL, _SEND))
    if kind in (_CALL, _SEND):
        return _request(kind, message_id, value)
    return _answer(kind, message_id, value)


_KINDS = {
    OCPP16: frozenset({_CALL, _CALL_RESULT, _CALL_ERROR}),
    OCPP201: frozenset({_CALL, _CALL_RESULT, _CALL_ERROR}),
    OCPP21: frozenset({_CALL, _CALL_RESULT, _CALL_ERROR, _CALL_RESULT_ERROR, _SEND}),
}


def _request(kind: int, message_id: str, value: list[Any]) -> Frame:
    answerable = kind == _CALL
    if len(value) != 4:
        detail = f"a request has 4 elements, this one has {len(value)}"
        return Malformed(message_id, Fault.RPC, detail, answerable)
    action, payload = value[2], value[3]
    if not isinstance(action, str) or not action:
        return Malformed(message_id, Fault.RPC, "the action is not a string", answerable)
    if not isinstance(payload, dict):
        return Malformed(message_id, Fault.FORMAT, "the payload is not an object", answerable)
    return Call(message_id, action, payload) if answerable else Send(message_id, action, payload)


def _answer(kind: int, message_id: str, value: list[Any]) -> Frame:
    if kind == _CALL_RESULT:
        if len(value) != 3 or not isinstance(value[2], dict):
            return Malformed(message_id, Fault.FORMAT, "a result is [3, id, object]", answerable=False)
        return CallResult(message_id, value[2])
    # Chargers leave out the description or the details; the code is what counts.
    code, description, details = (*value[2:5], None, None, None)[:3]
    if not isinstance(code, str):
        return Malformed(message_id, Fault.FORMAT, "the error code is not a string", answerable=False)
    shape = CallError if kind == _CALL_ERROR else CallResultError
    text = description if isinstance(description, str) else ""
    return shape(message_id, code, text, details if isinstance(details, dict) else {})


def _readable_id(value: list[Any]) -> str | None:
    message_id = value[1] if len(value) > 1 else None
    if isinstance(message_id, str) and 0 < len(message_id) <= MAX_MESSAGE_ID:
        return message_id
    return None


def _short(value: object) -> str:
    return str(value)[:40]


def call(message_id: str, action: str, payload: Payload) -> str:
    """The text of a request."""
    return _text([_CALL, message_id, action, payload])


def call_result(message_id: str, payload: Payload) -> str:
    """The text of an answer."""
    return _text([_CALL_RESULT, message_id, payload])


def call_error(message_id: str | None, code: str, description: str) -> str:
    """The text of a refusal; the description is cut to the 255 characters that are allowed."""
    return _text([_CALL_ERROR, message_id or UNREADABLE_ID, code, description[:_MAX_DESCRIPTION], {}])


def call_result_error(message_id: str, code: str, description: str) -> str:
    """OCPP 2.1: the text that refuses an answer."""
    return _text([_CALL_RESULT_ERROR, message_id, code, description[:_MAX_DESCRIPTION], {}])


def _text(value: list[Any]) -> str:
    return orjson.dumps(value).decode()
