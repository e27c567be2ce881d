"""Objects on a real S3 server: created once, whole or not at all, read in ranges."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from storage.errors import EngineUnavailable, InvalidInput, NotFound, StaleVersion
from storage.s3 import S3BlobStore
from storage.s3_leftovers import S3Leftovers

pytestmark = pytest.mark.integration
MIB = 1024 * 1024


async def pieces(data: bytes, size: int = 300_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def whole(blobs: S3BlobStore, key: str, **part: int) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(key, **part)])


async def open_uploads(blobs: S3BlobStore) -> int:
    found = await asyncio.to_thread(blobs.client().list_multipart_uploads, Bucket=blobs.bucket)
    return len(found.get("Uploads", []))


@pytest.fixture
def small_parts(blobs: S3BlobStore) -> S3BlobStore:
    blobs.part_bytes = 5 * MIB
    return blobs


@pytest.fixture(scope="module")
def large() -> bytes:
    """Twelve and a bit MiB: three parts of five."""
    return b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() * 1024 for n in range(400))


@pytest.mark.requirement("S40")
async def test_a_small_object_is_created_once(blobs) -> None:
    assert await blobs.put_bytes("k", b"first")
    assert not await blobs.put_bytes("k", b"second")
    assert not await blobs.put_new("k", pieces(b"third"))
    data, etag = await blobs.get("k", limit=5)
    assert data == b"first"
    assert etag
    assert await blobs.length("k") == 5


async def test_an_empty_object_is_an_object(blobs) -> None:
    assert await blobs.put_new("empty", pieces(b""), length=0)
    assert await blobs.length("empty") == 0
    assert await whole(blobs, "empty") == b""


async def test_a_large_object_arrives_in_parts_and_whole(small_parts, large) -> None:
    assert await small_parts.put_new("large", pieces(large), length=len(large))
    assert await small_parts.length("large") == len(large)
    assert await whole(small_parts, "large") == large
    assert not await small_parts.put_new("large", pieces(large[::-1]))
    assert hashlib.sha256(await whole(small_parts, "large")).digest() == hashlib.sha256(large).digest()
    assert await open_uploads(small_parts) == 0


async def test_an_object_of_exactly_one_part(small_parts) -> None:
    data = bytes(5 * MIB)
    assert await small_parts.put_new("edge", pieces(data))
    assert await small_parts.length("edge") == len(data)


@pytest.mark.parametrize("size", [10, 6 * MIB])
async def test_bytes_that_do_not_add_up_leave_nothing(small_parts, size) -> None:
    with pytest.raises(InvalidInput, match=f"{size} bytes came where {size + 1}"):
        await small_parts.put_new("short", pieces(bytes(size)), length=size + 1)
    with pytest.raises(NotFound):
        await small_parts.length("short")
    assert await open_uploads(small_parts) == 0


async def test_a_source_that_breaks_leaves_nothing(small_parts) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield bytes(6 * MIB)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await small_parts.put_new("broken", breaking())
    with pytest.raises(NotFound):
        await small_parts.length("broken")
    assert await open_uploads(small_parts) == 0


async def test_an_upload_that_is_cancelled_leaves_nothing(small_parts) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(6 * MIB)
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(small_parts.put_new("cancelled", endless()))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert await open_uploads(small_parts) == 0


async def test_of_racing_creators_one_wins(blobs) -> None:
    contents = [bytes([number]) * 100 for number in range(8)]
    won = await asyncio.gather(*(blobs.put_new("race", pieces(each)) for each in contents))
    assert sum(won) == 1
    assert await whole(blobs, "race") == contents[won.index(True)]


@pytest.mark.requirement("S40")
async def test_replacing_needs_the_current_etag(blobs) -> None:
    await blobs.replace("timestamp.json", b"1", etag=None)
    with pytest.raises(StaleVersion):
        await blobs.replace("timestamp.json", b"x", etag=None)
    _, first = await blobs.get("timestamp.json", limit=10)
    await blobs.replace("timestamp.json", b"22", etag=first)
    with pytest.raises(StaleVersion):
        await blobs.replace("timestamp.json", b"x", etag=first)
    with pytest.raises(StaleVersion):
        await blobs.replace("never.json", b"x", etag=first)
    assert (await blobs.get("timestamp.json", limit=10))[0] == b"22"


async def test_of_racing_writers_one_replaces(blobs) -> None:
    await blobs.put_bytes("head", b"0")
    _, etag = await blobs.get("head", limit=1)
    answers = await asyncio.gather(
        *(blobs.replace("head", b"%d" % number, etag=etag) for number in range(1, 6)), return_exceptions=True
    )
    assert answers.count(None) == 1
    assert sum(isinstance(answer, StaleVersion) for answer in answers) == 4
    winner = answers.index(None) + 1
    assert (await blobs.get("head", limit=1))[0] == b"%d" % winner


async def test_a_longer_object_than_expected_is_not_read(blobs) -> None:
    await blobs.put_bytes("k", b"0123456789")
    assert (await blobs.get("k", limit=10))[0] == b"0123456789"
    with pytest.raises(InvalidInput, match="longer"):
        await blobs.get("k", limit=9)


async def test_ranges_are_inclusive_like_those_of_http(blobs) -> None:
    await blobs.put_bytes("k", b"0123456789")
    assert await whole(blobs, "k", first=3) == b"3456789"
    assert await whole(blobs, "k", first=3, last=5) == b"345"
    assert await whole(blobs, "k", last=0) == b"0"
    assert await whole(blobs, "k", first=8, last=999) == b"89"
    with pytest.raises(InvalidInput):
        await whole(blobs, "k", first=10)


async def test_reading_may_stop_early(blobs, large) -> None:
    await blobs.put_new("large", pieces(large))
    for _ in range(blobs.threads + 2):
        async with aclosing(blobs.read("large")) as chunks:
            first = await anext(chunks)
    assert large.startswith(first)
    assert await blobs.length("large") == len(large)


@pytest.mark.requirement("S39")
async def test_memory_does_not_grow_with_the_object(small_parts) -> None:
    async def zeros() -> AsyncIterator[bytes]:
        for _ in range(640):
            yield bytes(64 * 1024)

    await small_parts.ready()
    tracemalloc.start()
    try:
        assert await small_parts.put_new("forty", zeros())
        read = 0
        async for chunk in small_parts.read("forty"):
            read += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read == 40 * MIB
    assert peak < 25 * MIB


async def test_what_is_not_there_is_not_found(blobs) -> None:
    for reading in (blobs.get("none", limit=1), blobs.length("none"), whole(blobs, "none")):
        with pytest.raises(NotFound, match="none"):
            await reading
    await blobs.delete("none")


async def test_a_deleted_object_is_gone_and_its_key_free(blobs) -> None:
    await blobs.put_bytes("k", b"1")
    await blobs.delete("k")
    with pytest.raises(NotFound):
        await blobs.get("k", limit=1)
    assert await blobs.put_bytes("k", b"2")


async def test_a_bucket_is_created_once_with_versions(blobs, s3_settings) -> None:
    other = S3BlobStore(
        bucket=s3_settings.bucket + "-new",
        endpoint=s3_settings.endpoint,
        access_key=s3_settings.access_key,
        secret_key=s3_settings.secret_key,
    )
    with pytest.raises(EngineUnavailable, match="no bucket"):
        await other.ready()
    for _ in range(2):
        await other.ensure_bucket()
    await other.ready()
    await blobs.ensure_bucket()
    for store in (other, blobs):
        status = await asyncio.to_thread(store.client().get_bucket_versioning, Bucket=store.bucket)
        assert status["Status"] == "Enabled"
    other.close()


async def test_a_server_that_is_not_there_or_refuses_us_is_unavailable(s3_settings) -> None:
    nobody = S3BlobStore(bucket="abc", endpoint="http://127.0.0.1:1", access_key="a", secret_key="hush-hush")
    wrong = S3BlobStore(
        bucket=s3_settings.bucket,
        endpoint=s3_settings.endpoint,
        access_key=s3_settings.access_key,
        secret_key="hush-hush",
    )
    for store in (nobody, wrong):
        with pytest.raises(EngineUnavailable) as caught:
            await store.put_bytes("k", b"1")
        assert caught.value.retryable
        assert "hush" not in caught.value.diagnostics()
        with pytest.raises(EngineUnavailable):
            await store.ready()
        store.close()


async def leftovers_of(blobs: S3BlobStore, prefix: str) -> dict[str, datetime]:
    return {one.key: one.newest async for page in S3Leftovers(blobs).pages(prefix) for one in page}


async def test_what_is_deleted_is_left_over_until_it_is_purged(blobs: S3BlobStore) -> None:
    await blobs.ensure_bucket()  # versioned, as ours are
    for key in ("logs/1/a", "logs/1/ab", "logs/2/a", "other/1"):
        await blobs.put_bytes(key, b"x")
    await blobs.delete("logs/1/a")
    found = await leftovers_of(blobs, "logs/")
    assert set(found) == {"logs/1/a", "logs/1/ab", "logs/2/a"}, "in a versioned bucket the bytes stay"
    assert all(abs(datetime.now(UTC) - at) < timedelta(hours=1) for at in found.values())
    assert await S3Leftovers(blobs).purge("logs/1/a") >= 1
    assert set(await leftovers_of(blobs, "logs/")) == {"logs/1/ab", "logs/2/a"}, "of that key alone"
    assert await S3Leftovers(blobs).purge("logs/1/a") == 0, "a second time is no error"
    assert await blobs.length("other/1") == 1


async def test_leftovers_come_page_by_page(blobs: S3BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.s3_leftovers._PAGE", 2)
    await blobs.ensure_bucket()
    keys = {f"logs/{number}/x" for number in range(5)}
    for key in keys:
        await blobs.put_bytes(key, b"x")
    await blobs.delete("logs/3/x")
    pages = [page async for page in S3Leftovers(blobs).pages("logs/")]
    assert len(pages) > 2
    assert {one.key for page in pages for one in page} == keys


async def test_uploads_in_parts_that_nobody_finished_are_given_up(small_parts: S3BlobStore) -> None:
    client, place = small_parts.client(), {"Bucket": small_parts.bucket}
    for key in ("logs/1/dead", "artifacts/x"):
        await asyncio.to_thread(client.create_multipart_upload, **place, Key=key)
    now, ahead = datetime.now(UTC), timedelta(hours=1)
    assert await S3Leftovers(small_parts).abort_uploads("logs/", now - ahead) == 0, "it may be running"
    assert await S3Leftovers(small_parts).abort_uploads("logs/", now + ahead) == 1
    assert await open_uploads(small_parts) == 1
