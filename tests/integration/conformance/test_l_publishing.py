"""Block L, firmware published by a local controller (L03, L04)."""

import hashlib
from typing import Any

import pytest

from csms.commands import AnswerStatus, PublishFirmware, UnpublishFirmware
from storage.events import EventKind
from tests.integration.conformance.updates import IMAGE
from tests.integration.conformance.wire import OCPP21, OCPP201

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("F71"),
    pytest.mark.parametrize("version", [OCPP201, OCPP21]),
]

# L03.FR.02 asks for MD5.
CHECKSUM = hashlib.md5(IMAGE, usedforsecurity=False).hexdigest()
REQUEST = PublishFirmware(0, "https://ampwave.example/d/a-ticket-of-this-controller", CHECKSUM)


async def published(csms: Any, station: Any, *statuses: str, **more: Any) -> list[tuple[str, int]]:
    """Have firmware published; what was stored of the statuses. ``more`` goes with the last one."""
    await station.ready()
    station.will_answer("PublishFirmware", status="Accepted")
    assert (await csms.send(REQUEST)).status is AnswerStatus.ACCEPTED
    sent = await station.heard("PublishFirmware")
    assert (sent["location"], sent["checksum"], sent["requestId"]) == (REQUEST.location, CHECKSUM, 0)
    for number, status in enumerate(statuses, 1):
        last = more if number == len(statuses) else {}
        payload = {"status": status, "requestId": REQUEST.request_id, **last}
        await station.told("PublishFirmwareStatusNotification", payload)
    reported = await csms.events(EventKind.PUBLISH_STATUS_REPORTED)
    return [(body["status"], body["request_id"]) for body in reported]


async def test_tc_l_17_firmware_is_published(csms: Any, version: str) -> None:
    places = ["http://192.0.2.1/image", "ftp://192.0.2.1/image"]
    train = ("Downloading", "Downloaded", "ChecksumVerified", "Published")
    async with csms.station(version) as station:
        assert await published(csms, station, *train, location=places) == [(status, 0) for status in train]
        *_, last = await csms.events(EventKind.PUBLISH_STATUS_REPORTED)
        assert last["locations"] == places


@pytest.mark.parametrize(
    "train",
    [
        pytest.param(("Downloading", "Downloaded", "InvalidChecksum"), id="tc_l_19"),
        pytest.param(("Downloading", "Downloaded", "ChecksumVerified", "PublishFailed"), id="tc_l_20"),
        pytest.param(("Downloading", "DownloadFailed"), id="tc_l_24"),
    ],
)
async def test_tc_l_19_20_24_publishing_fails(csms: Any, version: str, train: tuple[str, ...]) -> None:
    async with csms.station(version) as station:
        assert await published(csms, station, *train) == [(status, 0) for status in train]
        *_, last = await csms.events(EventKind.PUBLISH_STATUS_REPORTED)
        assert last["locations"] == []


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        pytest.param("Unpublished", AnswerStatus.ACCEPTED, id="tc_l_21"),
        pytest.param("NoFirmware", AnswerStatus.NOT_FOUND, id="tc_l_22"),
        pytest.param("DownloadOngoing", AnswerStatus.DOWNLOAD_ONGOING, id="tc_l_23"),
    ],
)
async def test_tc_l_21_22_23_firmware_is_unpublished(
    csms: Any, version: str, word: str, meaning: AnswerStatus
) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer("UnpublishFirmware", status=word)
        assert (await csms.send(UnpublishFirmware(CHECKSUM))).status is meaning
        assert await station.heard("UnpublishFirmware") == {"checksum": CHECKSUM}
    assert await csms.answered("UnpublishFirmware") == [word]
