"""A local controller on real sockets: one download for all, proven by its checksum and offered (L03, L04)."""

import hashlib
from typing import Any

import httpx2
import pytest

from csms.simulator.catalogue import CONTROLLERS, PERSONALITIES
from csms.simulator.faults import FaultKind, NetworkFault
from csms.simulator.firmware import build_image

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F71", "F72")]
STATUS = "PublishFirmwareStatusNotification"
IMAGE = build_image("1.1", size=100_000, seed=1)
[CONTROLLER] = CONTROLLERS.values()
ACCEPTED = [3, {"status": "Accepted"}]
WHOLE = ["Downloading", "Downloaded", "ChecksumVerified", "Published"]


def md5(image: bytes) -> str:
    return hashlib.md5(image, usedforsecurity=False).hexdigest()


def order(bench: Any, image: bytes = IMAGE, number: int = 7, **more: Any) -> tuple[str, dict[str, Any]]:
    place = bench.images.put(f"fw{number}", image)
    body = {"location": place, "checksum": md5(image), "requestId": number, "retries": 1, "retryInterval": 1}
    return "PublishFirmware", {**body, **more}


def said(bench: Any, number: int = 7) -> list[str]:
    told = bench.csms.of(bench.charger, STATUS)
    return [each["status"] for each in told if each.get("requestId") == number]


async def until_said(bench: Any, *words: str, number: int = 7) -> None:
    await bench.csms.until(lambda: len(said(bench, number)) >= len(words))
    assert said(bench, number) == list(words)


async def unpublished(bench: Any, image: bytes = IMAGE) -> str:
    _, answer = await bench.send("UnpublishFirmware", {"checksum": md5(image)})
    return str(answer["status"])


async def test_an_image_is_offered_until_it_is_taken_back(bench) -> None:
    async with bench.running(bench.fleet(CONTROLLER)) as task, httpx2.AsyncClient() as http:
        assert await unpublished(bench) == "NoFirmware"
        assert await bench.send(*order(bench)) == ACCEPTED
        await until_said(bench, *WHOLE)
        *before, last = bench.csms.of(bench.charger, STATUS)
        assert not any("location" in each for each in before)
        [place] = last["location"]
        assert (await http.get(place)).content == IMAGE
        part = await http.get(place, headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, IMAGE[10:20])
        assert await bench.send(*order(bench)) == ACCEPTED, "the same request again"
        await until_said(bench, *WHOLE, "Published")
        assert len(bench.images.ranges) == 1, "it was fetched once"
        assert await unpublished(bench) == "Unpublished"
        assert (await http.get(place)).status_code == 404
        assert await unpublished(bench) == "NoFirmware"
        assert await bench.send(*order(bench)) == ACCEPTED, "asked again with the number of before"
        await until_said(bench, *WHOLE, "Published", *WHOLE)
        assert len(bench.images.ranges) == 2
    account = (await task).chargers[bench.charger]
    assert account.counts["image_served"] == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (FaultKind.FULL_DISK, ["Downloading", "DownloadFailed"]),
        (FaultKind.SPOILT_IMAGE, ["Downloading", "Downloaded", "InvalidChecksum"]),
        (FaultKind.NO_FILE_SERVER, ["Downloading", "Downloaded", "ChecksumVerified", "PublishFailed"]),
    ],
)
async def test_publishing_fails_as_a_word_says(bench, fault: FaultKind, words: list[str]) -> None:
    async with bench.running(bench.fleet(CONTROLLER, faults=(NetworkFault(fault),))):
        assert await bench.send(*order(bench)) == ACCEPTED
        await until_said(bench, *words)
        assert await unpublished(bench) == "NoFirmware"


async def test_another_checksum_is_another_image(bench) -> None:
    async with bench.running(bench.fleet(CONTROLLER)):
        assert await bench.send(*order(bench, checksum=md5(b"another"))) == ACCEPTED
        await until_said(bench, "Downloading", "Downloaded", "InvalidChecksum")
        assert await bench.send(*order(bench)) == ACCEPTED, "the server's second try has the same number"
        await until_said(bench, "Downloading", "Downloaded", "InvalidChecksum", *WHOLE)


async def test_one_that_says_so_and_serves_nothing(bench) -> None:
    faults = (NetworkFault(FaultKind.UNSERVED),)
    async with bench.running(bench.fleet(CONTROLLER, faults=faults)), httpx2.AsyncClient() as http:
        await bench.send(*order(bench))
        await until_said(bench, *WHOLE)
        [place] = bench.csms.of(bench.charger, STATUS)[-1]["location"]
        assert (await http.get(place)).status_code == 404


async def test_a_broken_transfer_pauses_and_the_next_image_waits_for_it(bench) -> None:
    """Whoever fetches is awaited before anything is taken back (L04.FR.03)."""
    other = build_image("1.2", size=50_000, seed=2)
    faults = (NetworkFault(FaultKind.BREAK_DOWNLOAD, amount=30_000.0),)
    async with bench.running(bench.fleet(CONTROLLER, faults=faults)):
        assert await bench.send(*order(bench)) == ACCEPTED
        assert await bench.send(*order(bench, other, 8)) == ACCEPTED
        assert await unpublished(bench, other) == "DownloadOngoing"
        paused = ["Downloading", "DownloadPaused", *WHOLE]
        await bench.csms.until(lambda: said(bench, 8)[-1:] == ["Published"])
        assert said(bench) == paused
        assert said(bench, 8) == ["DownloadScheduled", *paused]


async def test_power_takes_a_download_and_leaves_what_is_offered(bench) -> None:
    faults = (NetworkFault(FaultKind.SLOW_LINK, amount=200_000.0),)
    other = build_image("1.2", size=5_000_000, seed=2)
    async with bench.running(bench.fleet(CONTROLLER, faults=faults)), httpx2.AsyncClient() as http:
        await bench.send(*order(bench))
        await until_said(bench, *WHOLE)
        [place] = bench.csms.of(bench.charger, STATUS)[-1]["location"]
        await bench.send(*order(bench, other, 8))
        await bench.csms.until(lambda: said(bench, 8) == ["Downloading"])
        assert await bench.reset(CONTROLLER) == "Accepted"
        await until_said(bench, "Downloading", "DownloadFailed", number=8)
        assert (await http.get(place)).content == IMAGE


async def test_what_it_is_at_is_told_on_demand(bench) -> None:
    async with bench.running(bench.fleet(CONTROLLER)):
        trigger = "TriggerMessage", {"requestedMessage": STATUS}
        assert await bench.send(*trigger) == ACCEPTED
        await bench.csms.until(lambda: bench.csms.of(bench.charger, STATUS) == [{"status": "Idle"}])
        assert await bench.send(*order(bench, location="ftp://192.0.2.1/x")) == [3, {"status": "Rejected"}]


async def test_an_ordinary_charger_is_no_controller(bench) -> None:
    async with bench.running(bench.fleet(PERSONALITIES["jetty"])):
        kind, code, *_ = await bench.send(*order(bench))
        assert (kind, code) == (4, "NotSupported")
        assert (await bench.send("UnpublishFirmware", {"checksum": md5(IMAGE)}))[:2] == [4, "NotSupported"]
