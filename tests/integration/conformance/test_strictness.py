"""The strict peer can fail: each rule it stands for, broken once."""

import json

import pytest

from tests.integration.conformance.wire import OCPP16, OCPP21, OCPP201, Framing, answer_fault, request_fault

HEARTBEAT = '[2,"1","TriggerMessage",{"requestedMessage":"Heartbeat"}]'


def read(raw: str | bytes, version: str = OCPP201) -> str | None:
    return Framing(version).read(raw)[1]


@pytest.mark.parametrize("version", [OCPP16, OCPP201, OCPP21])
def test_what_is_right_passes(version: str) -> None:
    assert read(HEARTBEAT, version) is None
    assert read('[3,"1",{}]', version) is None
    assert read('[4,"1","NotImplemented","",{}]', version) is None
    boot = {"status": "Accepted", "currentTime": "2026-11-20T12:00:00.000Z", "interval": 60}
    assert answer_fault(version, "BootNotification", boot) is None


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (HEARTBEAT.encode(), "binary"),
        ("{", "not JSON"),
        ("{}", "no array"),
        (json.dumps(json.loads(HEARTBEAT)), "not compact"),
        ('[7,"1",{}]', "message type"),
        ('[2,"1","Reset"]', "3 elements"),
        ("[3,1,{}]", "message id"),
        ('[3,"%s",{}]' % ("x" * 37), "message id"),
        ('[4,"1","FormationViolation","",{}]', "no error code"),
        ('[4,"1","GenericError","%s",{}]' % ("x" * 256), "not a CALLERROR"),
        ('[2,"1","Frobnicate",{}]', "no message"),
        ('[2,"1","TriggerMessage",{"requestedMessage":"Nonsense"}]', "TriggerMessageRequest"),
        ('[2,"1","TriggerMessage",{"requestedMessage":"Heartbeat","more":1}]', "TriggerMessageRequest"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(raw: str | bytes, fault: str) -> None:
    assert fault in (read(raw) or "")


def test_a_message_id_is_used_once_over_all_connections() -> None:
    framing = Framing(OCPP201)
    assert framing.read(HEARTBEAT)[1] is None
    assert "used before" in (framing.read(HEARTBEAT)[1] or "")


@pytest.mark.parametrize(
    "time", ["2026-11-20T12:00:00+00:00", "2026-11-20T12:00:00", "2026-11-20T12:00:00.0000Z", "yesterday"]
)
def test_a_time_has_one_form(time: str) -> None:
    assert answer_fault(OCPP201, "Heartbeat", {"currentTime": time})


def test_a_null_is_no_value() -> None:
    payload = {"status": "Accepted", "statusInfo": {"reasonCode": None}}
    assert answer_fault(OCPP201, "Reset", payload)


def test_a_date_with_an_offset_is_found_in_a_request_too() -> None:
    firmware = {"location": "http://a/b", "retrieveDateTime": "2026-11-20T12:00:00+01:00"}
    assert "no UTC time" in (
        request_fault(OCPP201, "UpdateFirmware", {"requestId": 1, "firmware": firmware}) or ""
    )
