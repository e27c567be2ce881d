"""Block N: logs (N01), and what a station keeps of a customer (N09, N10)."""

from typing import Any

import pytest

from csms.access import CustomerInformation, IdToken
from csms.commands import AnswerStatus, GetLog, LogKind
from storage.events import EventKind
from tests.integration.conformance.station import now
from tests.integration.conformance.wire import OCPP21, OCPP201

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("F71"),
    pytest.mark.parametrize("version", [OCPP201, OCPP21]),
]

PLACE = "https://ampwave.example/u/an-upload-ticket"
TOKEN = IdToken("TAG")


async def get_log(csms: Any, station: Any, log: GetLog, answer: AnswerStatus) -> None:
    """Ask for a log, to which the station says this."""
    station.will_answer("GetLog", status=answer.value, filename="log.txt")
    answered = await csms.send(log)
    assert (answered.status, answered.file_name) == (answer, "log.txt")
    sent = await station.heard("GetLog")
    assert (sent["logType"], sent["requestId"]) == (log.kind.value, log.request_id)
    assert sent["log"]["remoteLocation"] == PLACE


async def upload(station: Any, request_id: int, *statuses: str) -> None:
    """Tell how the upload goes."""
    for status in statuses:
        await station.told("LogStatusNotification", {"status": status, "requestId": request_id})


async def told(csms: Any) -> list[tuple[str, int]]:
    """What was stored of uploads."""
    reported = await csms.events(EventKind.LOG_STATUS_REPORTED)
    return [(body["status"], body["request_id"]) for body in reported]


@pytest.mark.parametrize(
    "kind",
    [pytest.param(LogKind.DIAGNOSTICS, id="tc_n_25"), pytest.param(LogKind.SECURITY, id="tc_n_35")],
)
async def test_tc_n_25_35_a_log_is_uploaded(csms: Any, version: str, kind: LogKind) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await get_log(csms, station, GetLog(0, PLACE, kind), AnswerStatus.ACCEPTED)
        await upload(station, 0, "Uploading", "Uploaded")
        assert await told(csms) == [("Uploading", 0), ("Uploaded", 0)]


async def test_tc_n_34_a_log_is_refused(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer("GetLog", status="Rejected")
        assert (await csms.send(GetLog(1, PLACE))).status is AnswerStatus.REJECTED
    assert await csms.answered("GetLog") == ["Rejected"]


async def test_tc_n_36_a_second_request_cancels_the_first(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await get_log(csms, station, GetLog(1, PLACE), AnswerStatus.ACCEPTED)
        await upload(station, 1, "Uploading")
        await get_log(csms, station, GetLog(2, PLACE), AnswerStatus.ACCEPTED_CANCELED)
        await upload(station, 1, "AcceptedCanceled")
        await upload(station, 2, "Uploading", "Uploaded")
        assert await told(csms) == [
            ("Uploading", 1),
            ("AcceptedCanceled", 1),
            ("Uploading", 2),
            ("Uploaded", 2),
        ]


CASES = [
    # id, report, clear, answer, what the station then tells
    pytest.param(True, False, "Accepted", "Jane Doe, 3 sessions", id="tc_n_27"),
    pytest.param(True, False, "Accepted", "", id="tc_n_28"),
    pytest.param(True, False, "Rejected", None, id="tc_n_29"),
    pytest.param(True, True, "Accepted", "Jane Doe, 3 sessions", id="tc_n_30"),
    pytest.param(True, True, "Accepted", "", id="tc_n_31"),
    pytest.param(False, True, "Accepted", "", id="tc_n_32"),
]


@pytest.mark.requirement("F23")
@pytest.mark.parametrize(("report", "clear", "answer", "data"), CASES)
async def test_tc_n_27_28_29_30_31_32_customer_information(
    csms: Any, version: str, report: bool, clear: bool, answer: str, data: str | None
) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer("CustomerInformation", status=answer)
        answered = await csms.send(CustomerInformation(7, report=report, clear=clear, token=TOKEN))
        assert answered.status is AnswerStatus(answer)
        sent = await station.heard("CustomerInformation")
        assert (sent["requestId"], sent["report"], sent["clear"]) == (7, report, clear)
        assert sent["idToken"] == {"idToken": "TAG", "type": "ISO14443"}
        if data is not None:
            told = {"data": data, "seqNo": 0, "generatedAt": now(), "requestId": 7}
            await station.told("NotifyCustomerInformation", told)
        reported = await csms.events(EventKind.CUSTOMER_INFORMATION_REPORTED)
        # It is personal: how much there was is kept, never what.
        assert [body["characters"] for body in reported] == ([] if data is None else [len(data)])
        assert "Jane" not in str(await csms.journal())
