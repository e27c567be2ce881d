import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csms import frames
from csms.frames import (
    OCPP16,
    OCPP21,
    OCPP201,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Fault,
    Malformed,
    Send,
    error_code,
    parse,
)

DIALECTS = [OCPP16, OCPP201, OCPP21]
TEXT = st.text(st.characters(codec="utf-8"))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
quick = settings(max_examples=60)


def test_reads_every_kind_of_message() -> None:
    assert parse('[2,"1","Heartbeat",{}]', OCPP16) == Call("1", "Heartbeat", {})
    assert parse('[3,"1",{"status":"Accepted"}]', OCPP16) == CallResult("1", {"status": "Accepted"})
    assert parse('[4,"1","NotImplemented","no",{}]', OCPP201) == CallError("1", "NotImplemented", "no", {})
    assert parse('[5,"1","FormatViolation","",{}]', OCPP21) == CallResultError("1", "FormatViolation", "", {})
    assert parse('[6,"1","NotifyPeriodicEventStream",{}]', OCPP21) == Send(
        "1", "NotifyPeriodicEventStream", {}
    )


def test_a_short_callerror_still_tells_its_code() -> None:
    assert parse('[4,"1","InternalError"]', OCPP16) == CallError("1", "InternalError", "", {})


@pytest.mark.parametrize(
    ("text", "fault", "message_id"),
    [
        ("nonsense", Fault.RPC, None),
        (b"\x00\x01", Fault.RPC, None),
        ("{}", Fault.RPC, None),
        ("[]", Fault.RPC, None),
        ('[2,7,"Heartbeat",{}]', Fault.RPC, None),
        ('[2,"","Heartbeat",{}]', Fault.RPC, None),
        ('[2,"a","Heartbeat"]', Fault.RPC, "a"),
        ('[2,"a","Heartbeat",[]]', Fault.FORMAT, "a"),
        ('[2,"a",5,{}]', Fault.RPC, "a"),
        ('[9,"a","Heartbeat",{}]', Fault.MESSAGE_TYPE, "a"),
        ('[true,"a","Heartbeat",{}]', Fault.MESSAGE_TYPE, "a"),
        ('[2,"a","Heartbeat",{"x":1e400}]', Fault.RPC, None),
    ],
)
def test_what_is_no_request_can_be_answered(text: str | bytes, fault: Fault, message_id: str | None) -> None:
    frame = parse(text, OCPP201)
    assert isinstance(frame, Malformed)
    assert (frame.fault, frame.message_id, frame.answerable) == (fault, message_id, True)


@pytest.mark.parametrize("text", ['[3,"a",5]', '[3,"a"]', '[4,"a",{}]', "[3,7,{}]"])
def test_a_broken_answer_is_never_answered(text: str) -> None:
    frame = parse(text, OCPP16)
    assert isinstance(frame, Malformed)
    assert not frame.answerable


def test_only_2_1_has_send_and_callresulterror() -> None:
    for text in ('[6,"1","NotifyPeriodicEventStream",{}]', '[5,"1","FormatViolation","",{}]'):
        assert isinstance(parse(text, OCPP201), Malformed)
        assert not isinstance(parse(text, OCPP21), Malformed)


def test_each_version_spells_its_own_codes() -> None:
    assert error_code(Fault.OCCURRENCE, OCPP16) == "OccurenceConstraintViolation"
    assert error_code(Fault.OCCURRENCE, OCPP201) == "OccurrenceConstraintViolation"
    assert error_code(Fault.FORMAT, OCPP16) == "FormationViolation"
    assert error_code(Fault.FORMAT, OCPP21) == "FormatViolation"
    assert error_code(Fault.RPC, OCPP201) == "RpcFrameworkError"


def test_every_1_6_code_is_one_that_1_6_has() -> None:
    allowed = {  # OCPP-J 1.6 section 4.2.3
        "NotImplemented",
        "NotSupported",
        "InternalError",
        "ProtocolError",
        "SecurityError",
        "FormationViolation",
        "PropertyConstraintViolation",
        "OccurenceConstraintViolation",
        "TypeConstraintViolation",
        "GenericError",
    }
    assert {error_code(fault, OCPP16) for fault in Fault} <= allowed


def test_a_refusal_without_readable_id_has_minus_one_and_a_short_description() -> None:
    assert json.loads(frames.call_error(None, "FormatViolation", "x" * 300)) == [
        4, "-1", "FormatViolation", "x" * 255, {},
    ]  # fmt: skip


@quick
@given(st.text() | st.binary(), st.sampled_from(DIALECTS))
def test_nothing_that_is_received_makes_it_raise(raw: str | bytes, dialect: str) -> None:
    assert isinstance(parse(raw, dialect), Malformed)


@quick
@given(st.lists(ANY_JSON, max_size=6), st.sampled_from(DIALECTS))
def test_every_json_array_is_some_frame(value: list[object], dialect: str) -> None:
    assert isinstance(parse(json.dumps(value), dialect), frames.Frame)


@quick
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=255), st.dictionaries(TEXT, TEXT))
def test_what_we_build_reads_back(message_id: str, payload: dict[str, object]) -> None:
    assert parse(frames.call(message_id, "A", payload), OCPP16) == Call(message_id, "A", payload)
    assert parse(frames.call_result(message_id, payload), OCPP16) == CallResult(message_id, payload)
