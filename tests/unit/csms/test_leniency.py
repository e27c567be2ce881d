"""Chargers that break the schema in ways that were seen in the field keep their data."""

from typing import Any

import pytest

from csms.frames import OCPP16, OCPP21, OCPP201
from csms.leniency import LONGEST, mend
from csms.schemas import check_request
from storage.events import (
    ChargerBooted,
    ConnectorStatusChanged,
    DeviationTolerated,
    FrameRejected,
    MeterSample,
    MeterValuesSampled,
    TransactionEnded,
)

AT = "2026-11-20T12:00:00Z"
GOOD = {"value": "7", "unit": "Wh"}


def meter(*sampled: Any, at: str = AT) -> dict[str, Any]:
    return {"timestamp": at, "sampledValue": list(sampled)}


async def values16(world: Any, meter_value: Any) -> list[MeterValuesSampled]:
    answer = await world.socket.ask(2, "1", "MeterValues", {"connectorId": 1, "meterValue": meter_value})
    assert answer == [3, "1", {}]
    await world.session.settled()
    assert world.store.facts(FrameRejected) == []
    found: list[MeterValuesSampled] = world.store.facts(MeterValuesSampled)
    return found


@pytest.mark.parametrize(
    ("bad", "kept"),
    [
        ({"value": "50", "unit": "Hz", "measurand": "Frequency"}, MeterSample("Frequency", 50, "Hz")),
        ({"value": "3", "measurand": "Own.Thing"}, MeterSample("Own.Thing", 3)),
        ({"value": 604.213, "unit": "Wh"}, MeterSample("Energy.Active.Import.Register", 604.213, "Wh")),
        ({"value": "3", "own": 1}, MeterSample("Energy.Active.Import.Register", 3)),
        ({"value": True}, None),
        ({"unit": "Wh"}, None),
        ({"value": "3", "phase": 5}, None),
        ("nonsense", None),
    ],
)
async def test_one_bad_sample_does_not_cost_the_others(
    make_world: Any, bad: Any, kept: MeterSample | None
) -> None:
    world = await make_world()
    good = MeterSample("Energy.Active.Import.Register", 7, "Wh")
    (sampled,) = await values16(world, [meter(bad, GOOD)])
    assert sampled.samples == ((kept, good) if kept else (good,))
    assert world.store.facts(DeviationTolerated)


@pytest.mark.parametrize(
    "meter_value",
    [
        meter(GOOD),  # an object for a list of one (lbbrhzn/ocpp#1144)
        [meter(), meter(GOOD)],  # an empty reading (#466)
        [{"sampledValue": [GOOD]}, meter(GOOD)],  # a reading without a time
        [meter("nonsense"), meter(GOOD)],
        [5, meter(GOOD)],
    ],
)
async def test_one_bad_reading_does_not_cost_the_others(make_world: Any, meter_value: Any) -> None:
    (sampled,) = await values16(await make_world(), meter_value)
    assert [sample.value for sample in sampled.samples] == [7]


async def test_a_message_of_nothing_but_bad_readings_is_answered_so_that_it_is_not_sent_for_ever(
    make_world: Any,
) -> None:
    assert await values16(await make_world(), [meter("nonsense")]) == []


async def test_a_deviation_is_told_once_in_a_session(make_world: Any) -> None:
    world = await make_world()
    for _ in range(5):
        await values16(world, [meter({"value": "50", "unit": "Hz"})])
    assert world.store.facts(DeviationTolerated) == [
        DeviationTolerated("MeterValues", "enum at /meterValue/*/sampledValue/*/unit")
    ]
    assert len(world.store.facts(MeterValuesSampled)) == 5


async def test_a_stop_with_a_bad_sample_ends_its_session(make_world: Any) -> None:
    world = await make_world()
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": AT}
    await world.socket.ask(2, "1", "StartTransaction", start)
    stop = {
        "transactionId": 1,
        "meterStop": 5,
        "timestamp": AT,
        "transactionData": [meter({"value": "50", "unit": "Hz"})],
    }
    assert (await world.socket.ask(2, "2", "StopTransaction", stop))[:2] == [3, "2"]
    await world.session.settled()
    assert [each.transaction_id for each in world.store.facts(TransactionEnded)] == ["1"]
    assert world.twin.operation.transactions == {}


async def test_a_2_x_session_keeps_its_event_when_its_sample_is_bad(make_world: Any) -> None:
    world = await make_world(OCPP201)
    event = {
        "eventType": "Ended", "timestamp": AT, "triggerReason": "EVDeparted", "seqNo": 1,
        "transactionInfo": {"transactionId": "t"},
        "meterValue": [meter({"value": "12.5"}, {"value": 3, "measurand": "Own.Thing"}, {"value": {}})],
    }  # fmt: skip
    assert (await world.socket.ask(2, "1", "TransactionEvent", event))[:2] == [3, "1"]
    await world.session.settled()
    (ended,) = world.store.facts(TransactionEnded)
    assert ended.meter_wh == 12.5


async def test_a_charger_with_a_long_serial_number_can_boot(make_world: Any) -> None:
    world = await make_world()
    serial = {"chargePointSerialNumber": "S" * 26}
    boot = {"chargePointVendor": "V", "chargePointModel": "M" * 22, **serial}
    answer = await world.socket.ask(2, "1", "BootNotification", boot)
    assert answer[2]["status"] == "Accepted"
    await world.session.settled()
    (booted,) = world.store.facts(ChargerBooted)
    assert (booted.model, booted.serial_number) == ("M" * 22, "S" * 26)
    assert {each.detail for each in world.store.facts(DeviationTolerated)} == {
        "maxLength at /chargePointModel",
        "maxLength at /chargePointSerialNumber",
    }


async def test_a_status_with_an_error_code_of_its_own_counts(make_world: Any) -> None:
    world = await make_world()
    status = {"connectorId": 1, "errorCode": "Error", "status": "Faulted", "info": "x" * 80}
    assert (await world.socket.ask(2, "1", "StatusNotification", status))[:2] == [3, "1"]
    await world.session.settled()
    (changed,) = world.store.facts(ConnectorStatusChanged)
    assert changed.error_code == "Error"


async def test_an_empty_report_is_a_report_of_nothing(make_world: Any) -> None:
    world = await make_world(OCPP201)
    report = {"requestId": 15, "generatedAt": AT, "seqNo": 1, "reportData": []}
    assert await world.socket.ask(2, "1", "NotifyReport", report) == [3, "1", {}]
    await world.session.settled()
    assert world.store.facts(FrameRejected) == []
    assert [each.detail for each in world.store.facts(DeviationTolerated)] == ["minItems at /reportData"]


def test_a_text_that_our_answer_repeats_must_fit_there_too() -> None:
    asked = {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": "x" * 129,
        "issuerKeyHash": "k",
        "serialNumber": "3af2",
    }
    status = {"source": "OCSP", "urls": ["http://o"], "certificateHashData": asked}
    chain = {"certificateStatusRequests": [status]}
    assert check_request(OCPP21, "GetCertificateChainStatus", chain) is not None
    assert mend(OCPP21, "GetCertificateChainStatus", chain) is None
    asked["issuerNameHash"] = "x" * 128
    assert check_request(OCPP21, "GetCertificateChainStatus", chain) is None


def test_an_empty_list_is_refused_where_something_must_stand() -> None:
    assert mend(OCPP201, "NotifyEvent", {"generatedAt": AT, "seqNo": 0, "eventData": []}) is None


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("MeterValues", {"meterValue": [meter(GOOD)]}),
        ("MeterValues", {"connectorId": "one", "meterValue": [meter(GOOD)]}),
        ("MeterValues", {"connectorId": 1, "meterValue": "none"}),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Broken"}),
        ("BootNotification", {"chargePointVendor": "V"}),
        ("Heartbeat", {"more": 1}),
        ("FirmwareStatusNotification", {"status": "Perhaps"}),
        ("StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": "0", "timestamp": AT}),
    ],
)
def test_what_changes_the_meaning_is_refused(action: str, payload: dict[str, Any]) -> None:
    assert mend(OCPP16, action, payload) is None


def test_a_text_that_may_be_long_keeps_what_it_may_have() -> None:
    characteristics = {"dataType": "OptionList", "supportsMonitoring": False, "valuesList": "v" * 1500}
    told = {
        "component": {"name": "C"},
        "variable": {"name": "V"},
        "variableAttribute": [{"value": "v"}],
        "variableCharacteristics": characteristics,
    }
    mended = mend(
        OCPP201, "NotifyReport", {"requestId": 1, "generatedAt": AT, "seqNo": 0, "reportData": [told]}
    )
    assert mended is not None
    assert mended.payload["reportData"][0]["variableCharacteristics"]["valuesList"] == "v" * 1000


def test_a_text_is_cut_and_what_is_no_text_is_refused() -> None:
    mended = mend(OCPP16, "DataTransfer", {"vendorId": "V" * 5000})
    assert mended is not None
    assert mended.payload["vendorId"] == "V" * LONGEST
    assert mend(OCPP201, "SignCertificate", {"csr": "x" * 6000}) is None
