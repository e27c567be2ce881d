"""Fetching: whole, in pieces, resumed; from servers that do not keep to the rules."""

import hashlib
from collections.abc import Callable

import httpx2
import pytest

from csms.simulator.download import Fetched, Transfer, download
from csms.simulator.errors import DownloadFailed
from csms.simulator.firmware import HEAD_BYTES

IMAGE = bytes(range(256)) * 400
URL = "http://images.test/d/ticket"
Handler = Callable[[httpx2.Request], httpx2.Response]


async def fetch(handler: Handler, **options: int) -> Fetched:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as http:
        return await download(http, Transfer(URL, options.pop("limit", 10**6), **options))


def ranged(request: httpx2.Request, etag: str = '"one"') -> httpx2.Response:
    asked = request.headers.get("range")
    if not asked or request.headers.get("if-range", etag) != etag:
        return httpx2.Response(200, content=IMAGE, headers={"ETag": etag})
    first, last = asked.removeprefix("bytes=").split("-")
    body = IMAGE[int(first) : int(last) + 1 if last else None]
    headers = {"Content-Range": f"bytes {first}-{int(first) + len(body) - 1}/{len(IMAGE)}", "ETag": etag}
    return httpx2.Response(206, content=body, headers=headers)


def is_whole(fetched: Fetched) -> bool:
    found = (fetched.sha256, fetched.head, fetched.length)
    return found == (hashlib.sha256(IMAGE).digest(), IMAGE[:HEAD_BYTES], len(IMAGE))


async def test_whole_and_in_pieces_are_the_same_image() -> None:
    whole = await fetch(ranged)
    pieces = await fetch(ranged, piece=10_000)
    assert is_whole(whole)
    assert is_whole(pieces)
    assert (whole.requests, pieces.requests) == (1, 11)


async def test_a_server_without_ranges_still_serves_pieces() -> None:
    fetched = await fetch(lambda _: httpx2.Response(200, content=IMAGE), piece=10_000)
    assert is_whole(fetched)
    assert fetched.requests == 1


async def test_an_image_that_changed_meanwhile_is_fetched_anew() -> None:
    etags = iter(['"one"', '"two"'])
    fetched = await fetch(lambda request: ranged(request, next(etags)), retries=1, break_after=1000)
    assert is_whole(fetched)
    assert fetched.requests == 2


async def test_a_server_that_sends_another_range_is_not_believed() -> None:
    def liar(request: httpx2.Request) -> httpx2.Response:
        if "range" not in request.headers:
            return httpx2.Response(200, content=IMAGE)
        return httpx2.Response(206, content=IMAGE, headers={"Content-Range": "bytes 0-9/10"})

    with pytest.raises(DownloadFailed, match="another range"):
        await fetch(liar, retries=1, break_after=1000)


@pytest.mark.parametrize("status", [401, 404, 410, 416, 500])
async def test_a_refusal_is_reported_after_the_retries(status: int) -> None:
    asked = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(status)

    with pytest.raises(DownloadFailed, match=str(status)):
        await fetch(refuse, retries=2)
    assert len(asked) == 3


async def test_too_long_an_image_is_refused_also_when_no_length_is_announced() -> None:
    async def endless():  # type: ignore[no-untyped-def]
        for _ in range(1000):
            yield bytes(1000)

    with pytest.raises(DownloadFailed, match="takes 1000"):
        await fetch(ranged, limit=1000)
    with pytest.raises(DownloadFailed, match="longer than 5000"):
        await fetch(lambda _: httpx2.Response(200, content=endless()), limit=5000)


async def test_an_unreachable_server_is_a_failed_download() -> None:
    def gone(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(DownloadFailed, match="refused"):
        await fetch(gone, retries=1)
