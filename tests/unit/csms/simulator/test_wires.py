"""Every message and answer of every dialect is what the OCPP schemas allow."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.schemas import check_answer, check_request
from csms.simulator.errors import RequestInvalid
from csms.simulator.personality import Dialect, TimeStyle
from csms.simulator.voice import WIRES
from csms.simulator.wire import (
    Answer,
    AvailabilityRequest,
    Entry,
    Facts,
    Identity,
    LogRequest,
    Message,
    Plug,
    PublishRequest,
    Reading,
    ReadRequest,
    Request,
    ResetRequest,
    Session,
    TriggerRequest,
    UnpublishRequest,
    UpdateRequest,
    Wire,
    instant,
    stamp,
)
from csms.simulator.words import (
    BootReason,
    EndReason,
    FirmwareWord,
    LogWord,
    PlugWord,
    PublishWord,
    SecurityWord,
)

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
AT = stamp(NOW, TimeStyle.ZULU)
IDENTITY = Identity("Vendor", "Model", "SN-1", "1.0")
ALL = pytest.mark.parametrize("dialect", list(Dialect))


def everything(wire: Wire) -> list[Message]:
    """One of each message, each in every variant it has."""
    session = Session("run-1-1", 1, "TAG000001", 1000, server_id=None)
    known = Session("run-1-2", 2, "TAG000002", 1000, server_id=77)
    reading = Reading(AT, 1234, 3, offline=True)
    messages: list[Message | None] = [wire.heartbeat(), wire.authorize("TAG000001")]
    messages += [wire.boot(IDENTITY, reason) for reason in BootReason]
    messages += [wire.status(Plug(1, word, "GroundFailure"), AT) for word in PlugWord]
    messages += [wire.station_status(word, AT) for word in (PlugWord.AVAILABLE, PlugWord.UNAVAILABLE)]
    messages += [wire.firmware_status(word, request) for word in FirmwareWord for request in (None, 0, 7)]
    messages += [wire.log_status(word, request) for word in LogWord for request in (0, 7)]
    words = (LogWord.IDLE, LogWord.UPLOADING, LogWord.UPLOADED, LogWord.FAILED)
    messages += [wire.log_status(word, None) for word in words]
    messages += [wire.publish_status(word, request, ()) for word in PublishWord for request in (None, 0, 7)]
    messages += [wire.publish_status(PublishWord.PUBLISHED, 7, ["http://127.0.0.1:1/x"])]
    messages += [wire.security_event(word.value, AT, "x" * 400) for word in SecurityWord]
    messages += [wire.started(session, reading), wire.metered(session, reading), wire.metered(known, reading)]
    messages += [wire.ended(each, reading, reason) for each in (session, known) for reason in EndReason]
    messages += [wire.sampled(2, reading)]
    entries = [
        Entry(name, None if variable.hidden else variable.value, variable.writable)
        for name, variable in wire.variables(Facts(IDENTITY, 2)).items()
    ]
    messages += [*wire.report(5, AT, entries, 0), *wire.report(5, AT, [], 1)]
    messages += [wire.sign_certificate("-----BEGIN", use) for use in (None, "V2GCertificate")]
    return [message for message in messages if message]


@ALL
@pytest.mark.requirement("F72")
def test_every_message_fits_its_schema(dialect: Dialect) -> None:
    messages = everything(WIRES[dialect])
    violations = [
        (message.action, check_request(dialect.value, message.action, message.payload))
        for message in messages
    ]
    assert [found for found in violations if found[1]] == []
    assert len({message.action for message in messages}) >= 9


@ALL
def test_request_zero_is_kept_and_idle_never_has_one(dialect: Dialect) -> None:
    # OCPP 2.0.1 L01.FR.20; CitrineOS rejects 0 and demands an id with Idle.
    wire = WIRES[dialect]
    assert wire.firmware_status(FirmwareWord.INSTALLED, 0).payload["requestId"] == 0
    assert "requestId" not in wire.firmware_status(FirmwareWord.IDLE, 7).payload


FIRMWARE = {
    "location": "http://127.0.0.1/d/x",
    "retrieveDateTime": "2026-03-01T12:30:15Z",
    "signingCertificate": "-----BEGIN CERTIFICATE-----",
    "signature": "c2ln",
}
UPDATE = {"requestId": 0, "retries": 2, "retryInterval": 5, "firmware": FIRMWARE}
READ_UPDATE = UpdateRequest(
    0,
    "http://127.0.0.1/d/x",
    datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC),
    "-----BEGIN CERTIFICATE-----",
    "c2ln",
    2,
    5,
)
LOG = {
    "logType": "SecurityLog",
    "requestId": 0,
    "retries": 2,
    "retryInterval": 5,
    "log": {"remoteLocation": "http://127.0.0.1/u/x"},
}
READ_LOG = LogRequest(0, "http://127.0.0.1/u/x", "SecurityLog", 2, 5)
VARIABLE = {"component": {"name": "Controller"}, "variable": {"name": "FirmwareVersion"}}
PUBLISH = {
    "location": "http://127.0.0.1/d/x",
    "checksum": "0" * 32,
    "requestId": 0,
    "retries": 2,
    "retryInterval": 5,
}
CALLS: list[tuple[Dialect, str, dict[str, Any], Request]] = [
    (Dialect.OCPP16, "SignedUpdateFirmware", UPDATE, READ_UPDATE),
    (Dialect.OCPP201, "UpdateFirmware", UPDATE, READ_UPDATE),
    (Dialect.OCPP21, "UpdateFirmware", UPDATE, READ_UPDATE),
    (
        Dialect.OCPP201,
        "PublishFirmware",
        PUBLISH,
        PublishRequest(0, "http://127.0.0.1/d/x", "0" * 32, 2, 5),
    ),
    (Dialect.OCPP21, "UnpublishFirmware", {"checksum": "0" * 32}, UnpublishRequest("0" * 32)),
    (Dialect.OCPP16, "Reset", {"type": "Soft"}, ResetRequest(on_idle=True)),
    (Dialect.OCPP16, "Reset", {"type": "Hard"}, ResetRequest(on_idle=False)),
    (Dialect.OCPP201, "Reset", {"type": "OnIdle"}, ResetRequest(on_idle=True)),
    (Dialect.OCPP21, "Reset", {"type": "Immediate"}, ResetRequest(on_idle=False)),
    (
        Dialect.OCPP16,
        "ChangeAvailability",
        {"connectorId": 0, "type": "Inoperative"},
        AvailabilityRequest(operative=False),
    ),
    (
        Dialect.OCPP16,
        "ChangeAvailability",
        {"connectorId": 2, "type": "Operative"},
        AvailabilityRequest(operative=True, evse_id=2),
    ),
    (
        Dialect.OCPP201,
        "ChangeAvailability",
        {"operationalStatus": "Inoperative"},
        AvailabilityRequest(operative=False),
    ),
    (
        Dialect.OCPP21,
        "ChangeAvailability",
        {"operationalStatus": "Operative", "evse": {"id": 1}},
        AvailabilityRequest(operative=True, evse_id=1),
    ),
    (Dialect.OCPP16, "TriggerMessage", {"requestedMessage": "Heartbeat"}, TriggerRequest("Heartbeat")),
    (
        Dialect.OCPP16,
        "ExtendedTriggerMessage",
        {"requestedMessage": "StatusNotification", "connectorId": 1},
        TriggerRequest("StatusNotification", 1),
    ),
    (
        Dialect.OCPP201,
        "TriggerMessage",
        {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}},
        TriggerRequest("StatusNotification", 1),
    ),
    (Dialect.OCPP16, "GetLog", LOG, READ_LOG),
    (Dialect.OCPP201, "GetLog", LOG, READ_LOG),
    (Dialect.OCPP21, "GetLog", LOG, READ_LOG),
    (
        Dialect.OCPP16,
        "GetDiagnostics",
        {"location": "http://127.0.0.1/u/x", "retries": 1},
        LogRequest(None, "http://127.0.0.1/u/x", "DiagnosticsLog", 1),
    ),
    (Dialect.OCPP16, "GetConfiguration", {"key": ["A"]}, ReadRequest(("A",))),
    (Dialect.OCPP16, "GetConfiguration", {}, ReadRequest()),
    (
        Dialect.OCPP201,
        "GetVariables",
        {"getVariableData": [VARIABLE]},
        ReadRequest(("Controller.FirmwareVersion",)),
    ),
]


@pytest.mark.parametrize(("dialect", "action", "payload", "request_"), CALLS)
def test_calls_are_understood_and_answered_in_the_schemas_words(
    dialect: Dialect, action: str, payload: dict[str, Any], request_: Request
) -> None:
    wire = WIRES[dialect]
    assert check_request(dialect.value, action, payload) is None
    assert wire.read(action, payload) == request_
    values = {"A": "1", "Controller.FirmwareVersion": "1.0"}
    status = "Unpublished" if isinstance(request_, UnpublishRequest) else "Accepted"
    answer = wire.answer(request_, Answer(status, values, "a.log"))
    assert check_answer(dialect.value, action, answer) is None


def test_a_reset_that_16_cannot_schedule_is_accepted() -> None:
    request = ResetRequest(on_idle=True)
    assert WIRES[Dialect.OCPP16].answer(request, Answer("Scheduled")) == {"status": "Accepted"}
    assert WIRES[Dialect.OCPP201].answer(request, Answer("Scheduled")) == {"status": "Scheduled"}


def test_plain_16_updates_are_read_so_that_they_can_be_counted() -> None:
    payload = {"location": "http://x/f", "retrieveDate": "2026-03-01T12:30:15"}
    request = WIRES[Dialect.OCPP16].read("UpdateFirmware", payload)
    assert isinstance(request, UpdateRequest)
    assert not request.signed
    assert request.retrieve_at == datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)


@ALL
def test_what_is_missing_or_unknown_is_named(dialect: Dialect) -> None:
    wire = WIRES[dialect]
    with pytest.raises(RequestInvalid, match="ReserveNow") as unknown:
        wire.read("ReserveNow", {})
    assert unknown.value.code == "NotImplemented"
    with pytest.raises(RequestInvalid, match="type") as missing:
        wire.read("Reset", {})
    assert missing.value.code == "OccurrenceConstraintViolation"
    spelling = wire.error_code(missing.value.code)
    assert spelling == (
        "OccurenceConstraintViolation" if dialect is Dialect.OCPP16 else "OccurrenceConstraintViolation"
    )


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (TimeStyle.ZULU, "2026-03-01T12:30:15.250Z"),
        (TimeStyle.OFFSET, "2026-03-01T14:30:15+02:00"),
        (TimeStyle.NAIVE, "2026-03-01T12:30:15.250"),
    ],
)
def test_each_style_of_time(style: TimeStyle, text: str) -> None:
    assert stamp(NOW, style) == text


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(list(TimeStyle)))
def test_a_stamp_reads_back_as_the_same_second(at: datetime, style: TimeStyle) -> None:
    if style is TimeStyle.OFFSET and at.year == 9999:
        return
    assert abs((instant(stamp(at, style)) - at).total_seconds()) < 1


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="tomorrow"):
        instant("tomorrow")
