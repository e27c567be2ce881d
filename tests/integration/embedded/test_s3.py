"""The embedded S3 server: what it shuts that stands open by default."""

import asyncio
import secrets
from typing import Any

import httpx2
import pytest
from botocore.exceptions import ClientError

from api.embedded.s3 import EmbeddedS3

pytestmark = pytest.mark.integration


@pytest.fixture
def key(embedded_s3: EmbeddedS3) -> str:
    name = f"secret-{secrets.token_hex(4)}"
    embedded_s3.client().put_object(Bucket=embedded_s3.bucket, Key=name, Body=b"firmware")
    return name


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_nobody_comes_in_without_a_key(embedded_s3: EmbeddedS3, key: str, method: str) -> None:
    async with httpx2.AsyncClient() as client:
        answer = await client.request(method, f"{embedded_s3.endpoint}/{embedded_s3.bucket}/{key}")
    assert answer.status_code == 403


@pytest.mark.parametrize("server", ["filer", "volume", "master", "admin"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_nobody_goes_around_the_s3_door(
    embedded_s3: EmbeddedS3, key: str, server: str, method: str
) -> None:
    port = embedded_s3.ports[f"{server}.port"]
    paths = [f"/buckets/{embedded_s3.bucket}/{key}", "/dir/assign", "/1,01637037d6", "/submit"]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answers = [await client.request(method, path) for path in paths]
    assert [answer.status_code for answer in answers if answer.status_code < 400] == []
    assert all(b"firmware" not in answer.content for answer in answers)


async def test_a_typo_creates_no_bucket(embedded_s3: EmbeddedS3) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        await asyncio.to_thread(embedded_s3.client().put_object, Bucket="ampwaev", Key="k", Body=b"firmware")


async def test_a_wrong_secret_is_refused(embedded_s3: EmbeddedS3) -> None:
    import boto3

    stranger: Any = boto3.client(
        "s3",
        endpoint_url=embedded_s3.endpoint,
        region_name=embedded_s3.region,
        aws_access_key_id=embedded_s3.access_key,
        aws_secret_access_key="not-the-secret",
    )
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        await asyncio.to_thread(stranger.list_buckets)
