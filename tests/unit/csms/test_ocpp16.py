from dataclasses import replace
from datetime import UTC, datetime

import pytest

from csms.access import CustomerInformation, NetworkProfile, SetNetworkProfile
from csms.commands import (
    AnswerStatus,
    CertificateSigned,
    ChangeAvailability,
    Command,
    CommandAnswer,
    DeleteCertificate,
    GetInstalledCertificateIds,
    GetLog,
    GetVariables,
    InstallCertificate,
    LogKind,
    PublishFirmware,
    Reset,
    ResetKind,
    SetVariables,
    TriggerKind,
    TriggerMessage,
    UpdateFirmware,
    VariableAttribute,
    VariableValue,
)
from csms.dialect import Calling, Reading
from csms.errors import Unsupported
from csms.frames import OCPP16, Payload
from csms.monitoring import GetBaseReport
from csms.ocpp16 import Ocpp16
from csms.schemas import check_request
from csms.timestamps import parse_instant
from storage.certificate_use import CertificateHash, CertificateUse, HashAlgorithm
from storage.events import (
    ChargerBooted,
    ConnectorStatus,
    ConnectorStatusChanged,
    FirmwareStatus,
    FirmwareStatusReported,
    MeterSample,
    MeterValuesSampled,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
)

DIALECT = Ocpp16()
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STAMP = "2026-11-20T12:00:00.000Z"
READING = Reading(parse_instant, lambda token: f"hash of {token}", transaction_id=5)
UPDATE = UpdateFirmware(0, "http://host/d/ticket", AT)
SIGNED = UpdateFirmware(0, "http://host/d/ticket", AT, "PEM", "c2ln", install_at=AT)


def events(action: str, **payload: object) -> list[object]:
    assert check_request(OCPP16, action, payload) is None
    return [seen.event for seen in DIALECT.to_events(action, payload, READING)]


def test_a_boot_tells_what_the_charger_is() -> None:
    assert events(
        "BootNotification",
        chargePointVendor="V",
        chargePointModel="M",
        firmwareVersion="1.0",
        chargeBoxSerialNumber="S",
    ) == [ChargerBooted("V", "M", "1.0", "S")]


@pytest.mark.requirement("F91")
@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Available", ConnectorStatus.AVAILABLE),
        ("Preparing", ConnectorStatus.OCCUPIED),
        ("SuspendedEV", ConnectorStatus.OCCUPIED),
        ("Finishing", ConnectorStatus.OCCUPIED),
        ("Reserved", ConnectorStatus.RESERVED),
        ("Unavailable", ConnectorStatus.UNAVAILABLE),
        ("Faulted", ConnectorStatus.FAULTED),
    ],
)
def test_nine_states_become_five_and_keep_their_own_word(word: str, status: ConnectorStatus) -> None:
    assert events("StatusNotification", connectorId=2, errorCode="NoError", status=word) == [
        ConnectorStatusChanged(2, 1, status, None, word)
    ]


def test_connector_0_is_the_whole_charger_and_a_fault_keeps_both_codes() -> None:
    assert events(
        "StatusNotification", connectorId=0, errorCode="GroundFailure", status="Faulted", vendorErrorCode="E7"
    ) == [ConnectorStatusChanged(0, 0, ConnectorStatus.FAULTED, "GroundFailure", "Faulted", "E7")]


def test_firmware_status_comes_with_and_without_request_id_and_0_is_one() -> None:
    assert events("FirmwareStatusNotification", status="Installed") == [
        FirmwareStatusReported(FirmwareStatus.INSTALLED)
    ]
    assert events("SignedFirmwareStatusNotification", status="InvalidSignature", requestId=0) == [
        FirmwareStatusReported(FirmwareStatus.INVALID_SIGNATURE, 0)
    ]


def test_a_session_has_our_id_and_never_the_token() -> None:
    assert events("StartTransaction", connectorId=1, idTag="T", meterStart=10, timestamp=STAMP) == [
        TransactionStarted("5", 1, 1, "hash of T", 10.0)
    ]
    assert events("StopTransaction", transactionId=5, meterStop=20, timestamp=STAMP, reason="HardReset") == [
        TransactionEnded("5", "ImmediateReset", 20.0)
    ]
    assert events("StopTransaction", transactionId=5, meterStop=20, timestamp=STAMP) == [
        TransactionEnded("5", "Local", 20.0)
    ]


@pytest.mark.requirement("F82")
def test_the_same_start_has_the_same_key_and_another_one_has_not() -> None:
    start: Payload = {"connectorId": 1, "idTag": "T", "meterStart": 10, "timestamp": STAMP}
    key = DIALECT.start_key("StartTransaction", start, READING)
    assert key == DIALECT.start_key("StartTransaction", dict(start), READING)
    others = [{**start, "connectorId": 2}, {**start, "meterStart": 11}, {**start, "idTag": "U"}]
    assert key not in [DIALECT.start_key("StartTransaction", other, READING) for other in others]
    assert DIALECT.start_key("Heartbeat", {}, READING) is None


def test_meter_values_keep_what_can_be_read() -> None:
    sampled = [
        {"value": "12.5", "unit": "kWh"},
        {"value": "SGVsbG8=", "format": "SignedData"},
        {"value": "7", "measurand": "Power.Active.Import", "unit": "W", "phase": "L1"},
    ]
    assert events(
        "MeterValues",
        connectorId=1,
        transactionId=5,
        meterValue=[{"timestamp": STAMP, "sampledValue": sampled}],
    ) == [
        MeterValuesSampled(
            1,
            "5",
            (
                MeterSample("Energy.Active.Import.Register", 12.5, "kWh"),
                MeterSample("Power.Active.Import", 7.0, "W", "L1"),
            ),
        )
    ]


def test_a_security_event_sent_twice_has_one_key() -> None:
    payload = {"type": "TamperDetectionActivated", "timestamp": STAMP, "techInfo": "lid"}
    first, again = (DIALECT.to_events("SecurityEventNotification", payload, READING)[0] for _ in range(2))
    assert first.event == SecurityEventReported("TamperDetectionActivated", "lid")
    assert first.at == AT
    assert first.dedupe_key == again.dedupe_key is not None


@pytest.mark.parametrize(
    ("command", "calling", "action"),
    [
        (UPDATE, Calling(), "UpdateFirmware"),
        (SIGNED, Calling(), "SignedUpdateFirmware"),
        (TriggerMessage(TriggerKind.FIRMWARE_STATUS), Calling(), "TriggerMessage"),
        (TriggerMessage(TriggerKind.STATUS, 1), Calling(security_extension=True), "ExtendedTriggerMessage"),
        (Reset(ResetKind.ON_IDLE), Calling(), "Reset"),
        (ChangeAvailability(operative=False), Calling(), "ChangeAvailability"),
        (GetVariables(("A",)), Calling(), "GetConfiguration"),
        (GetVariables(), Calling(), "GetConfiguration"),
    ],
)
def test_every_command_is_a_valid_call(command: Command, calling: Calling, action: str) -> None:
    sent, payload = DIALECT.to_call(command, calling)
    assert sent == action
    assert check_request(OCPP16, sent, payload) is None


def test_commands_say_what_was_meant() -> None:
    assert DIALECT.to_call(Reset(ResetKind.IMMEDIATE), Calling())[1] == {"type": "Hard"}
    assert DIALECT.to_call(ChangeAvailability(operative=True, evse_id=2), Calling())[1] == {
        "connectorId": 2,
        "type": "Operative",
    }
    signed = DIALECT.to_call(SIGNED, Calling())[1]
    assert signed["requestId"] == 0
    assert signed["firmware"]["retrieveDateTime"] == STAMP
    assert signed["firmware"]["signature"] == "c2ln"


def test_an_empty_answer_to_a_plain_update_is_a_yes() -> None:
    assert DIALECT.from_answer(UPDATE, "UpdateFirmware", {}) == CommandAnswer(AnswerStatus.ACCEPTED)


def test_configuration_is_read_without_the_key() -> None:
    payload = {
        "configurationKey": [
            {"key": "A", "readonly": True, "value": "1"},
            {"key": "B", "readonly": True},
            {"key": "AuthorizationKey", "readonly": False, "value": "secret"},
        ],
        "unknownKey": ["C"],
    }
    answer = DIALECT.from_answer(GetVariables(), "GetConfiguration", payload)
    assert answer == CommandAnswer(AnswerStatus.ACCEPTED, "unknown: C", (("A", "1"), ("B", "")))


@pytest.mark.requirement("F58")
def test_the_security_extension_shows_in_what_a_charger_says() -> None:
    assert DIALECT.shows_security("SecurityEventNotification")
    assert not DIALECT.shows_security("FirmwareStatusNotification")
    probe = DIALECT.capability_probes[0]
    yes = DIALECT.from_answer(
        probe, "GetConfiguration", {"configurationKey": [{"key": "SecurityProfile", "readonly": False}]}
    )
    no = DIALECT.from_answer(probe, "GetConfiguration", {"unknownKey": ["SecurityProfile"]})
    assert DIALECT.security_answer(probe, "GetConfiguration", yes) is True
    assert DIALECT.security_answer(probe, "GetConfiguration", no) is False
    assert DIALECT.security_answer(GetVariables(("A",)), "GetConfiguration", no) is None
    incapable = CommandAnswer(AnswerStatus.NOT_IMPLEMENTED)
    assert DIALECT.security_answer(SIGNED, "SignedUpdateFirmware", incapable) is False


def test_an_answer_that_means_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="Perhaps"):
        DIALECT.from_answer(Reset(ResetKind.ON_IDLE), "Reset", {"status": "Perhaps"})


KEY = VariableValue("A", "1")
NAME = CertificateHash(HashAlgorithm.SHA256, "a", "b", "1")


@pytest.mark.parametrize(
    ("command", "extension"),
    [
        (SetVariables((KEY, KEY)), None),
        (SetVariables((replace(KEY, attribute=VariableAttribute.TARGET),)), None),
        (GetVariables(("A",), VariableAttribute.MAX_SET), None),
        (Reset(ResetKind.ON_IDLE, evse_id=1), None),
        (Reset(ResetKind.IMMEDIATE_AND_RESUME), None),
        (GetLog(1, "https://h/u", LogKind.SECURITY), False),
        (GetLog(1, "https://h/u", LogKind.DATA_COLLECTOR), True),
        (TriggerMessage(TriggerKind.SIGN_CHARGING_STATION), False),
        (TriggerMessage(TriggerKind.SIGN_V2G), True),
        (TriggerMessage(TriggerKind.TRANSACTION), None),
        (CertificateSigned("PEM", CertificateUse.V2G), True),
        (InstallCertificate(CertificateUse.MO_ROOT, "PEM"), True),
        (GetInstalledCertificateIds((CertificateUse.V2G_ROOT,)), True),
        (PublishFirmware(1, "https://h/d", "0" * 32), None),
        (GetBaseReport(1), None),
        (SetNetworkProfile(1, NetworkProfile("wss://h", 2)), None),
        (CustomerInformation(1, report=True, clear=True, identifier="x"), None),
    ],
)
def test_what_1_6_has_no_words_for_is_refused_before_it_is_sent(
    command: Command, extension: bool | None
) -> None:
    with pytest.raises(Unsupported, match=r"ocpp1\.6 has no message for"):
        DIALECT.to_call(command, Calling(extension))


def test_the_message_of_a_trigger_is_chosen_before_the_capability() -> None:
    diagnostics = TriggerMessage(TriggerKind.DIAGNOSTICS_STATUS)
    assert DIALECT.to_call(diagnostics, Calling(security_extension=True))[0] == "TriggerMessage"
    log = TriggerMessage(TriggerKind.LOG_STATUS)
    assert DIALECT.to_call(log, Calling())[1] == {"requestedMessage": "DiagnosticsStatusNotification"}


def test_a_command_with_several_parts_is_several_calls() -> None:
    other = VariableValue("B", "2")
    assert DIALECT.parts(SetVariables((KEY, other))) == (SetVariables((KEY,)), SetVariables((other,)))
    assert DIALECT.parts(GetInstalledCertificateIds()) == (
        GetInstalledCertificateIds((CertificateUse.CSMS_ROOT,)),
        GetInstalledCertificateIds((CertificateUse.MANUFACTURER_ROOT,)),
    )
    assert DIALECT.parts(DeleteCertificate(NAME)) == (DeleteCertificate(NAME),)
