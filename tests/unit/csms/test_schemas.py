import pytest

from csms.frames import OCPP16, OCPP21, OCPP201, Fault, Payload
from csms.schemas import check_answer, check_request, knows

REPORT = {"requestId": 1, "generatedAt": "now", "seqNo": 0, "reportData": []}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}


@pytest.mark.parametrize(
    ("dialect", "action", "payload", "fault"),
    [
        (OCPP16, "StatusNotification", {**STATUS, "connectorId": "1"}, Fault.TYPE),
        (OCPP16, "StatusNotification", {"connectorId": 1}, Fault.OCCURRENCE),
        (OCPP16, "StatusNotification", {**STATUS, "status": "Sleeping"}, Fault.PROPERTY),
        (OCPP16, "StatusNotification", {**STATUS, "info": "x" * 51}, Fault.PROPERTY),
        (OCPP16, "StatusNotification", {**STATUS, "mood": "good"}, Fault.FORMAT),
        (OCPP16, "TransactionEvent", {}, Fault.NOT_IMPLEMENTED),
        (OCPP201, "NotifyReport", REPORT, Fault.OCCURRENCE),
        (OCPP201, "NotifyReport", {"requestId": 1e30, "generatedAt": "now", "seqNo": 0}, Fault.PROPERTY),
        (OCPP16, "SignedFirmwareStatusNotification", {"status": "Idle", "requestId": -1e30}, Fault.PROPERTY),
        (OCPP201, "BatterySwap", {}, Fault.NOT_IMPLEMENTED),
        (OCPP21, "BatterySwap", {}, Fault.OCCURRENCE),
    ],
)
def test_names_the_fault(dialect: str, action: str, payload: Payload, fault: Fault) -> None:
    violation = check_request(dialect, action, payload)
    assert violation is not None
    assert violation.fault is fault


def test_a_valid_request_has_no_fault_and_odd_dates_are_left_to_the_reader() -> None:
    assert (
        check_request(OCPP16, "StatusNotification", {**STATUS, "timestamp": "2024-04-26T14:35:02+02"}) is None
    )


def test_the_security_extension_of_1_6_is_known() -> None:
    payload = {"type": "FirmwareUpdated", "timestamp": "2026-11-20T12:00:00Z"}
    assert check_request(OCPP16, "SecurityEventNotification", payload) is None
    assert (
        check_request(OCPP16, "SignedFirmwareStatusNotification", {"status": "Idle", "requestId": 0}) is None
    )


def test_the_detail_names_the_place_and_hides_the_value() -> None:
    violation = check_request(OCPP16, "Authorize", {"idTag": "a-secret-token-that-is-far-too-long"})
    assert violation is not None
    assert "/idTag" in violation.detail
    assert "secret" not in violation.detail


def test_answers_are_checked_too() -> None:
    assert check_answer(OCPP201, "Reset", {"status": "Accepted"}) is None
    assert check_answer(OCPP201, "Reset", {"status": "Perhaps"}) is not None


def test_a_send_of_2_1_is_an_action_and_a_response_file_is_none() -> None:
    assert knows(OCPP21, "NotifyPeriodicEventStream")
    assert not knows(OCPP16, "HeartbeatResponse")
