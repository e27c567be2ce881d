from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.access import CustomerInformation, IdToken, NetworkProfile, SetNetworkProfile
from csms.answers import by_status
from csms.commands import (
    AnswerStatus,
    CertificateSigned,
    ChangeAvailability,
    Command,
    CommandAnswer,
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
    UnpublishFirmware,
    UpdateFirmware,
    VariableValue,
)
from csms.dialect import Calling, Observed, Reading
from csms.errors import Unsupported
from csms.frames import OCPP21, OCPP201, Payload
from csms.monitoring import MonitorKind, MonitorSetting, SetVariableMonitoring
from csms.ocpp2x import Ocpp2x, naming, ocpp21, ocpp201
from csms.schemas import check_request
from csms.timestamps import parse_instant
from storage.certificate_use import CertificateUse
from storage.events import (
    ChargerBooted,
    ConnectorStatus,
    ConnectorStatusChanged,
    FirmwareStatus,
    FirmwareStatusReported,
    MeterSample,
    MeterValuesSampled,
    MonitoredEventReported,
    ReservationChanged,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    VariablesReported,
)

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STAMP = "2026-11-20T12:00:00.000Z"
READING = Reading(parse_instant, lambda token: f"hash of {token}")
SIGNED = UpdateFirmware(0, "http://host/d/ticket", AT, "PEM", "c2ln", install_at=AT)


def seen(action: str, payload: Payload) -> tuple[Observed, ...]:
    for dialect in (ocpp201(), ocpp21()):
        assert check_request(dialect.name, action, payload) is None
    return ocpp201().to_events(action, payload, READING)


def events(action: str, **payload: object) -> list[object]:
    return [each.event for each in seen(action, payload)]


def transaction(kind: str, **more: object) -> Payload:
    info = {"transactionId": "tx-1", **more.pop("info", {})}  # type: ignore[dict-item]
    return {
        "eventType": kind,
        "timestamp": STAMP,
        "triggerReason": "Authorized",
        "seqNo": 3,
        "transactionInfo": info,
        **more,
    }


def test_a_boot_tells_what_the_charger_is_and_why() -> None:
    station = {"vendorName": "V", "model": "M", "firmwareVersion": "1.0", "serialNumber": "S"}
    assert events("BootNotification", chargingStation=station, reason="Triggered") == [
        ChargerBooted("V", "M", "1.0", "S", "Triggered")
    ]


def test_status_of_a_connector() -> None:
    (status,) = seen(
        "StatusNotification",
        {"timestamp": STAMP, "connectorStatus": "Occupied", "evseId": 2, "connectorId": 1},
    )
    assert status == Observed(ConnectorStatusChanged(2, 1, ConnectorStatus.OCCUPIED), AT)


def test_availability_also_comes_as_a_monitored_event() -> None:
    entry = {
        "eventId": 1,
        "timestamp": STAMP,
        "trigger": "Delta",
        "actualValue": "Faulted",
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 2}},
        "variable": {"name": "AvailabilityState"},
    }
    assert events("NotifyEvent", generatedAt=STAMP, seqNo=0, eventData=[entry]) == [
        MonitoredEventReported("Connector(1,2)", "AvailabilityState", "Faulted", "Delta"),
        ConnectorStatusChanged(1, 2, ConnectorStatus.FAULTED),
    ]


def test_firmware_status_has_no_request_id_exactly_when_idle_and_0_is_one() -> None:
    assert events("FirmwareStatusNotification", status="Idle") == [
        FirmwareStatusReported(FirmwareStatus.IDLE)
    ]
    assert events("FirmwareStatusNotification", status="Installed", requestId=0) == [
        FirmwareStatusReported(FirmwareStatus.INSTALLED, 0)
    ]


def test_security_event_and_reservation() -> None:
    assert events("SecurityEventNotification", type="FirmwareUpdated", timestamp=STAMP) == [
        SecurityEventReported("FirmwareUpdated")
    ]
    assert events("ReservationStatusUpdate", reservationId=4, reservationUpdateStatus="Expired") == [
        ReservationChanged(4, active=False)
    ]


def test_a_session_from_start_to_end() -> None:
    token = {"idToken": "T", "type": "ISO14443"}
    energy = [{"timestamp": STAMP, "sampledValue": [{"value": 1.5, "unitOfMeasure": {"unit": "kWh"}}]}]
    evse = {"id": 1, "connectorId": 1}
    started = transaction("Started", idToken=token, evse=evse, meterValue=energy)
    assert events("TransactionEvent", **started) == [
        TransactionStarted("tx-1", 1, 1, "hash of T", 1500.0, 3),
        MeterValuesSampled(1, "tx-1", (MeterSample("Energy.Active.Import.Register", 1.5, "kWh"),)),
    ]
    updated = transaction("Updated", info={"chargingState": "Charging"})
    assert events("TransactionEvent", **updated) == [TransactionUpdated("tx-1", None, "Charging", 3)]
    ended = transaction("Ended", info={"stoppedReason": "EVDisconnected"})
    assert events("TransactionEvent", **ended) == [TransactionEnded("tx-1", "EVDisconnected", None, 3)]
    assert events("TransactionEvent", **transaction("Ended")) == [TransactionEnded("tx-1", "Local", None, 3)]


@pytest.mark.requirement("F82")
def test_a_transaction_event_sent_twice_has_one_key_and_the_next_has_another() -> None:
    first, again = (seen("TransactionEvent", transaction("Updated"))[0].dedupe_key for _ in range(2))
    later = seen("TransactionEvent", {**transaction("Updated"), "seqNo": 4})[0].dedupe_key
    assert first == again is not None
    assert later != first


def test_a_report_names_every_variable_apart_and_hides_the_password() -> None:
    def entry(component: Payload, variable: str, value: str) -> Payload:
        attribute = {"type": "Actual", "value": value}
        return {
            "component": component,
            "variable": {"name": variable},
            "variableAttribute": [attribute],
        }

    data = [
        entry({"name": "EVSE", "evse": {"id": 1}}, "Power", "11"),
        entry({"name": "EVSE", "evse": {"id": 2}}, "Power", "22"),
        entry({"name": "SecurityCtrlr"}, "BasicAuthPassword", "secret"),
    ]
    values = {"EVSE(1).Power": "11", "EVSE(2).Power": "22"}
    assert events("NotifyReport", requestId=0, generatedAt=STAMP, seqNo=1, reportData=data, tbc=True) == [
        VariablesReported(values, "report", complete=False, request_id=0)
    ]
    assert events("NotifyReport", requestId=0, generatedAt=STAMP, seqNo=2) == [
        VariablesReported({}, "report", complete=True, request_id=0)
    ]


def test_meter_values_of_an_evse() -> None:
    value = {
        "timestamp": STAMP,
        "sampledValue": [{"value": 3, "unitOfMeasure": {"unit": "W", "multiplier": 3}}],
    }
    assert events("MeterValues", evseId=1, meterValue=[value]) == [
        MeterValuesSampled(1, None, (MeterSample("Energy.Active.Import.Register", 3.0, "W*10^3"),))
    ]


@pytest.mark.parametrize("dialect", [ocpp201(), ocpp21()], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    ("command", "action"),
    [
        (UpdateFirmware(0, "http://host/d/ticket", AT), "UpdateFirmware"),
        (SIGNED, "UpdateFirmware"),
        (TriggerMessage(TriggerKind.STATUS, 1, 1), "TriggerMessage"),
        (Reset(ResetKind.ON_IDLE), "Reset"),
        (ChangeAvailability(operative=False, evse_id=1), "ChangeAvailability"),
        (GetVariables(("SecurityCtrlr.SecurityProfile", "Connector[x](1,2).State[y]")), "GetVariables"),
        (GetVariables(), "GetBaseReport"),
    ],
)
def test_every_command_is_a_valid_call(dialect: Ocpp2x, command: Command, action: str) -> None:
    sent, payload = dialect.to_call(command, Calling(new_request_id=lambda: 9))
    assert sent == action
    assert check_request(dialect.name, sent, payload) is None


def test_a_signed_update_carries_request_0_signature_and_times_with_z() -> None:
    payload = ocpp201().to_call(SIGNED, Calling())[1]
    assert payload["requestId"] == 0
    assert payload["firmware"] == {
        "location": "http://host/d/ticket",
        "retrieveDateTime": STAMP,
        "installDateTime": STAMP,
        "signingCertificate": "PEM",
        "signature": "c2ln",
    }


def test_variables_are_read_and_named_as_reports_name_them() -> None:
    command = GetVariables(("Connector[x](1,2).State[y]", "A.B"))
    _, payload = ocpp201().to_call(command, Calling())
    results = [
        {**each, "attributeStatus": status, "attributeValue": "v"}
        for each, status in zip(payload["getVariableData"], ["Accepted", "UnknownVariable"], strict=True)
    ]
    assert ocpp201().from_answer(command, "GetVariables", {"getVariableResult": results}) == CommandAnswer(
        AnswerStatus.ACCEPTED, "A.B UnknownVariable", (("Connector[x](1,2).State[y]", "v"),)
    )


def test_a_name_without_component_is_refused_before_it_is_sent() -> None:
    with pytest.raises(Unsupported, match=r"Component\.Variable"):
        ocpp201().to_call(GetVariables(("NoComponent",)), Calling())


def test_an_answer_keeps_the_stations_own_explanation() -> None:
    payload = {
        "status": "Rejected",
        "statusInfo": {"reasonCode": "FwUpdateInProgress", "additionalInfo": "wait"},
    }
    assert ocpp201().from_answer(Reset(ResetKind.ON_IDLE), "Reset", payload) == CommandAnswer(
        AnswerStatus.REJECTED, "FwUpdateInProgress: wait"
    )


def test_only_2_1_takes_event_streams() -> None:
    assert "NotifyPeriodicEventStream" in ocpp21().messages
    assert "NotifyPeriodicEventStream" not in ocpp201().messages
    assert (ocpp201().name, ocpp21().name) == (OCPP201, OCPP21)


@pytest.mark.requirement("S43")
def test_a_charger_that_repeats_its_ticket_is_not_quoted() -> None:
    told = f"cannot fetch http://api/d/{'s3cret' * 8} {'x' * 1000}"
    info = {"reasonCode": "No", "additionalInfo": told}
    answer = by_status(Reset(ResetKind.ON_IDLE), "Reset", {"status": "Rejected", "statusInfo": info})
    assert answer.detail.startswith("No: cannot fetch http://api/d/*** x")
    assert "s3cret" not in answer.detail
    assert len(answer.detail) <= 300


ONLY_21: list[Command] = [
    Reset(ResetKind.IMMEDIATE_AND_RESUME),
    GetLog(1, "https://h/u", LogKind.DATA_COLLECTOR),
    CertificateSigned("PEM", CertificateUse.V2G20),
    InstallCertificate(CertificateUse.OEM_ROOT, "PEM"),
    GetInstalledCertificateIds((CertificateUse.CSMS_ROOT, CertificateUse.OEM_ROOT)),
    TriggerMessage(TriggerKind.CUSTOM, custom="x"),
    SetVariableMonitoring((MonitorSetting("A.B", MonitorKind.TARGET_DELTA, 1, 3),)),
    SetNetworkProfile(1, NetworkProfile("wss://h", 2, password="x" * 20)),
]


@pytest.mark.parametrize("command", ONLY_21, ids=lambda command: type(command).__name__)
def test_what_2_1_added_is_refused_in_2_0_1_before_it_is_sent(command: Command) -> None:
    action, payload = ocpp21().to_call(command, Calling())
    assert check_request(OCPP21, action, payload) is None
    with pytest.raises(Unsupported, match=r"ocpp2\.0\.1 has no message for"):
        ocpp201().to_call(command, Calling())


@pytest.mark.parametrize(
    "command",
    [
        TriggerMessage(TriggerKind.DIAGNOSTICS_STATUS),
        PublishFirmware(1, "https://h/d", "not an md5"),
        UnpublishFirmware("0" * 31),
        CustomerInformation(1, report=True, clear=True),
        CustomerInformation(1, report=True, clear=True, identifier="x", token=IdToken("y")),
        SetVariables((VariableValue("NoVariable", "1"),)),
    ],
    ids=lambda command: type(command).__name__,
)
def test_what_no_version_of_2_x_can_say_is_refused_too(command: Command) -> None:
    for dialect in (ocpp201(), ocpp21()):
        with pytest.raises(Unsupported):
            dialect.to_call(command, Calling())


word = st.text("AbcZ019 -_", min_size=1, max_size=12)
number = st.integers(0, 99)


@given(word, st.none() | word, st.none() | st.tuples(number, st.none() | number), word, st.none() | word)
def test_every_name_of_a_variable_leads_back_to_it(
    component: str,
    instance: str | None,
    evse: tuple[int, int | None] | None,
    variable: str,
    variable_instance: str | None,
) -> None:
    wire: Payload = {"component": {"name": component}, "variable": {"name": variable}}
    if instance:
        wire["component"]["instance"] = instance
    if variable_instance:
        wire["variable"]["instance"] = variable_instance
    if evse:
        wire["component"]["evse"] = naming.place(*evse)
    assert naming.to_wire(naming.variable(wire)) == wire
