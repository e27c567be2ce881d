"""Logs over a socket into a real object store: whole, in little memory, and nothing of what broke off."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx2
import pytest

from storage.canonical import sha256_hex
from storage.clock import system_clock
from storage.log import UploadTicket
from tests.conftest import S3Settings
from tests.integration.api.conftest import Deployment
from tests.integration.api.test_over_engines import served, stock

pytestmark = pytest.mark.integration

TICKET = "t" * 43
MEBI = 1024**2


async def ready(deployment: Deployment) -> int:
    """A log that a charger was asked for."""
    async with deployment.client() as client:
        await stock(client)
        log_id: int = (await client.post("/api/v1/chargers/CP-0/logs", json={})).json()["log_id"]
    now = system_clock()
    await deployment.services.logs.add_ticket(
        UploadTicket(sha256_hex(TICKET.encode()), "CP-0", log_id, now, now + timedelta(minutes=5))
    )
    return log_id


def chunk(number: int) -> bytes:
    return bytes([number % 251]) * MEBI


async def chunks(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield chunk(number)


def bucket(s3_settings: S3Settings) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3_settings.endpoint,
        region_name=s3_settings.region,
        aws_access_key_id=s3_settings.access_key,
        aws_secret_access_key=s3_settings.secret_key,
    )


@pytest.mark.requirement("F77")
async def test_a_long_log_passes_whole_through_little_memory(deployment: Deployment) -> None:
    log_id, count = await ready(deployment), 96
    expected = hashlib.sha256()
    for number in range(count):
        expected.update(chunk(number))
    await deployment.services.blobs.ready()  # Reading S3's definitions is no part of an upload.
    tracemalloc.start()
    try:
        async with deployment.client() as client:
            taken = await client.put(f"/u/{TICKET}", content=chunks(count), timeout=120)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken.status_code == 201, taken.text
    assert taken.json()["sha256"] == expected.hexdigest()
    assert peak < 48 * MEBI, f"{peak / MEBI:.0f} MiB for a log of {count}"
    seen = hashlib.sha256()
    async with (
        deployment.client() as client,
        client.stream("GET", f"/api/v1/chargers/CP-0/logs/{log_id}/content", timeout=120) as answer,
    ):
        async for piece in answer.aiter_bytes():
            seen.update(piece)
    assert seen.hexdigest() == expected.hexdigest()


async def test_an_upload_that_breaks_off_leaves_nothing_half_done(
    deployment: Deployment, s3_settings: S3Settings
) -> None:
    log_id = await ready(deployment)
    seats = deployment.app.state.log_seats
    async with served(deployment) as url:
        address = urlsplit(url)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        head = f"PUT /u/{TICKET} HTTP/1.1\r\nHost: x\r\nContent-Length: {40 * MEBI}\r\n\r\n"
        writer.write(head.encode())
        for number in range(20):
            writer.write(chunk(number))
            await writer.drain()
        store = bucket(s3_settings)

        def parts() -> list[Any]:
            return store.list_multipart_uploads(Bucket=s3_settings.bucket).get("Uploads", [])

        async with asyncio.timeout(60):
            while not await asyncio.to_thread(parts):  # noqa: ASYNC110 - S3 announces nothing
                await asyncio.sleep(0.05)
        writer.transport.abort()
        async with asyncio.timeout(60):
            while seats.taken or await asyncio.to_thread(parts):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
        listed = await asyncio.to_thread(store.list_objects_v2, Bucket=s3_settings.bucket)
        assert listed.get("Contents", []) == []
        assert (await deployment.services.logs.get(log_id)).upload is None
        async with httpx2.AsyncClient() as client:
            again = await client.put(f"{url}/u/{TICKET}", content=b"whole")
    assert again.status_code == 201
    store.close()


async def test_of_two_uploads_at_once_one_stands_and_the_other_leaves_nothing(
    deployment: Deployment, s3_settings: S3Settings
) -> None:
    log_id = await ready(deployment)
    async with deployment.client() as client:
        answers = await asyncio.gather(
            *(client.put(f"/u/{TICKET}/{number}.log", content=chunks(3 + number)) for number in range(4))
        )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 201
    assert set(statuses[1:]) <= {409, 410, 503}
    upload = (await deployment.services.logs.get(log_id)).upload
    assert upload is not None
    store = bucket(s3_settings)
    listed = await asyncio.to_thread(store.list_objects_v2, Bucket=s3_settings.bucket)
    assert [item["Key"] for item in listed["Contents"]] == [upload.object_key]
    store.close()
