"""S3 servers that are full, silent, refuse us, lie or differ: clear words, nothing cut is taken for whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage.errors import EngineUnavailable
from storage.read_budget import ReadBudget
from storage.s3 import S3BlobStore, S3Manner
from storage.s3_stream import S3Streams
from tests.support.odd_s3 import OddS3, Reply, Seen, odd_s3, refusing

pytestmark = pytest.mark.integration
ETAG = {"ETag": '"d41d8cd98f00b204e9800998ecf8427e"'}


def store_at(odd: OddS3, **manner: Any) -> S3BlobStore:
    keys = {"access_key": "key", "secret_key": "hush-hush"}
    return S3BlobStore(
        bucket="odd", endpoint=odd.endpoint, manner=S3Manner(**{"timeout_s": 0.5, **manner}), **keys
    )


async def one(data: bytes = b"image") -> AsyncIterator[bytes]:
    yield data


@pytest.mark.requirement("S41")
@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "AccessDenied", "refused PutObject: AccessDenied"),
        (507, "XMinioStorageFull", "no room"),
        (400, "BadDigest", "other bytes than we sent"),
        (500, "InternalError", "could not do PutObject"),
    ],
)
async def test_a_server_that_says_no_is_quoted_without_secrets(status: int, code: str, says: str) -> None:
    async with odd_s3(refusing(status, code)) as odd:
        store = store_at(odd)
        with pytest.raises(EngineUnavailable, match=says) as caught:
            await store.put_new("k", one())
        store.close()
    assert caught.value.hint
    assert "hush" not in caught.value.diagnostics()


async def test_a_server_that_never_answers_is_given_up() -> None:
    async with odd_s3(lambda _: Reply(silent=True)) as odd:
        store = store_at(odd, timeout_s=0.2)
        with pytest.raises(EngineUnavailable, match="did not answer"):
            await store.length("k")
        with pytest.raises(EngineUnavailable):
            await anext(store.read("k"))
        store.close()


@pytest.mark.requirement("S41")
@pytest.mark.parametrize("lies", [6, 5000])
async def test_an_object_that_is_cut_off_is_never_taken_for_whole(lies: int) -> None:
    async with odd_s3(lambda _: Reply(200, b"image", ETAG, lies=lies)) as odd:
        store = store_at(odd)
        stream = store.read("k")
        got = await anext(stream)
        with pytest.raises(EngineUnavailable, match=r"broke off|did not answer"):
            await anext(stream)
        store.close()
    assert got == b"image"


@pytest.mark.requirement("S47")
async def test_a_server_that_lies_about_checksums_is_found_out() -> None:
    wrong = {**ETAG, "x-amz-checksum-crc32": "AAAAAA=="}

    def answer(seen: Seen) -> Reply:
        return Reply(200, b"other bytes", wrong)

    async with odd_s3(answer) as odd:
        store = store_at(odd, checksum_mode="when_supported")
        with pytest.raises(EngineUnavailable):
            await store.get("k", limit=100)
        store.close()


@pytest.mark.requirement("S47")
@pytest.mark.parametrize(("mode", "works"), [("when_required", True), ("when_supported", False)])
async def test_a_server_without_trailing_checksums_works_in_the_mode_that_asks_for_none(
    mode: str, works: bool
) -> None:
    def minio_like(seen: Seen) -> Reply:
        trailing = "x-amz-trailer" in seen.headers or "x-amz-checksum-crc32" in seen.headers
        if trailing:
            return refusing(400, "MissingContentLength")(seen)
        return Reply(200, b"", ETAG)

    async with odd_s3(minio_like) as odd:
        store = store_at(odd, checksum_mode=mode)
        if works:
            assert await store.put_new("k", one())
        else:
            with pytest.raises(EngineUnavailable):
                await store.put_new("k", one())
        store.close()


@pytest.mark.requirement("S42")
async def test_nothing_that_we_send_makes_an_object_public() -> None:
    async with odd_s3(lambda _: Reply(200, b"", ETAG)) as odd:
        store = store_at(odd)
        await store.put_new("k", one())
        await store.replace("timestamp.json", b"{}", etag=None)
        store.close()
    puts = [seen for seen in odd.seen if seen.method == "PUT"]
    assert len(puts) == 2
    for seen in puts:
        assert not any(name == "x-amz-acl" or name.startswith("x-amz-grant") for name in seen.headers)


@pytest.mark.requirement("S41")
async def test_an_etag_is_never_taken_for_a_hash() -> None:
    async with odd_s3(lambda _: Reply(200, b"image", {"ETag": '"anything"'})) as odd:
        store = store_at(odd)
        data, etag = await store.get("k", limit=10)
        store.close()
    assert (data, etag) == (b"image", '"anything"')


@pytest.mark.parametrize("status", [301, 307, 404, 503])
async def test_what_is_out_of_the_ordinary_while_reading_is_left_to_boto3(status: int) -> None:
    asked: list[str] = []

    def first_odd(seen: Seen) -> Reply:
        asked.append(seen.target)
        return refusing(status, "SlowDown")(seen) if len(asked) == 1 else Reply(200, b"image", ETAG)

    async with odd_s3(first_odd) as odd:
        store = store_at(odd)
        assert b"".join([chunk async for chunk in store.read("k")]) == b"image"
        store.close()
    assert len(asked) == 2


async def test_connections_are_used_again_and_a_dead_one_is_noticed() -> None:
    async with odd_s3(lambda _: Reply(200, b"image", ETAG)) as odd:
        store = store_at(odd)
        for _ in range(3):
            assert b"".join([chunk async for chunk in store.read("k")]) == b"image"
        (idle,) = store._streams._idle
        idle.abort()
        await asyncio.sleep(0)
        assert b"".join([chunk async for chunk in store.read("k")]) == b"image"
        store.close()


async def test_answers_that_are_errors_do_not_weigh_on_the_budget_of_readers() -> None:
    budget = ReadBudget(1024**2)
    async with odd_s3(refusing(503, "SlowDown")) as odd:
        streams = S3Streams(odd.endpoint, 0.5)
        for _ in range(3):
            assert await streams.open(f"{odd.endpoint}/odd/k?x=1", None, budget) is None
        streams.close()

    assert len(odd.seen) == 3
    assert budget.held == 0
