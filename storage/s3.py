"""Objects in an S3 bucket: created once, read in ranges, replaced only under a condition.

boto3 blocks, so its calls run on a few threads of their own. Nothing here holds more of an object
in memory than one part of an upload or one chunk of a download.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import urllib3.exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from storage.errors import AmpwaveError, EngineUnavailable, InvalidInput, NotFound, StaleVersion

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

T = TypeVar("T")

CHUNK_BYTES = 256 * 1024
_MISSING = {"404", "NoSuchKey", "NotFound"}
_REFUSED = {"412", "PreconditionFailed"}


class S3BlobStore:
    """One bucket. ``close`` ends its threads.

    Without keys, boto3 looks for credentials the usual way. ``checksum_mode`` is ``when_required`` or
    ``when_supported``; the latter adds trailing checksums, which some servers other than AWS refuse (S47).
    """

    threads = 16
    part_bytes = 8 * 1024 * 1024
    """Size of the parts of a large upload; S3 wants at least 5 MiB, and takes 10,000 parts."""

    def __init__(
        self,
        *,
        bucket: str,
        endpoint: str | None = None,
        region: str = "us-east-1",
        access_key: str | None = None,
        secret_key: str | None = None,
        checksum_mode: str = "when_required",
    ) -> None:
        self.bucket = bucket
        self._region = region
        self._threads = ThreadPoolExecutor(self.threads, thread_name_prefix="s3")
        self._connecting = Lock()
        self._connected: S3Client | None = None
        self._connect = functools.partial(
            boto3.session.Session().client,
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=_config(checksum_mode, self.threads),
        )

    def close(self) -> None:
        """End the threads; calls that run are waited for by nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._connected is not None:
            self._connected.close()

    async def put_new(self, key: str, chunks: AsyncIterator[bytes], *, length: int | None = None) -> bool:
        """See ``storage.ports.BlobStore``; one part in memory at a time.

        Raises InvalidInput, and stores nothing, if the chunks do not add up to ``length`` bytes.
        Of two creators of one object of several parts at the same moment, AWS lets one win;
        SeaweedFS 4.48 may let both. So large objects are keyed by their own hash.
        """
        upload = _Upload(self, key)
        try:
            await upload.take(chunks)
            if length is not None and upload.length != length:
                raise InvalidInput(f"{upload.length} bytes came where {length} were announced.")
            return await upload.finish()
        except BaseException:
            await asyncio.shield(upload.abort())
            raise

    async def put_bytes(self, key: str, data: bytes) -> bool:
        """Create a small object; False if the key was there."""
        try:
            await self.call(key, lambda: self._put(key, data, IfNoneMatch="*"))
        except StaleVersion:
            return False
        return True

    async def replace(self, key: str, data: bytes, *, etag: str | None) -> None:
        """Write if the object still has this etag (None: does not exist); raise StaleVersion otherwise."""
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            await self.call(key, lambda: self._put(key, data, **condition))
        except NotFound as error:
            raise StaleVersion(f"Object {key!r} is gone.") from error

    def _put(self, key: str, data: bytes, **condition: str) -> None:
        self.client().put_object(Bucket=self.bucket, Key=key, Body=data, **condition)  # type: ignore[arg-type]  # names of conditions

    async def get(self, key: str, *, limit: int) -> tuple[bytes, str]:
        """(bytes, etag); raise NotFound, or InvalidInput when it is longer than ``limit`` bytes."""
        return await self.call(key, lambda: self._get(key, limit))

    def _get(self, key: str, limit: int) -> tuple[bytes, str]:
        answer = self.client().get_object(Bucket=self.bucket, Key=key)
        with answer["Body"] as body:
            if answer["ContentLength"] > limit:
                raise InvalidInput(f"Object {key!r} is longer than the {limit} bytes that it may have.")
            return body.read(), answer["ETag"]

    async def length(self, key: str) -> int:
        """Bytes; raise NotFound for an unknown key."""
        head = await self.call(key, lambda: self.client().head_object(Bucket=self.bucket, Key=key))
        return head["ContentLength"]

    async def read(self, key: str, *, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes ``first`` to ``last`` (inclusive), in chunks; raise NotFound or InvalidInput.

        No thread is held between chunks, so slow readers cost a connection each and nothing else.
        """
        body = await self.call(key, lambda: self._open(key, first, last))
        try:
            while chunk := await self.call(key, lambda: body.read(CHUNK_BYTES)):
                yield chunk
        finally:
            body.close()

    def _open(self, key: str, first: int, last: int | None) -> Any:
        whole = first == 0 and last is None
        part = {} if whole else {"Range": f"bytes={first}-{'' if last is None else last}"}
        return self.client().get_object(Bucket=self.bucket, Key=key, **part)["Body"]  # type: ignore[arg-type]  # Range or nothing

    async def delete(self, key: str) -> None:
        """In a versioned bucket the bytes stay, under a delete marker. An unknown key is no error."""
        await self.call(key, lambda: self.client().delete_object(Bucket=self.bucket, Key=key))

    async def ready(self) -> None:
        """Raise EngineUnavailable if the bucket cannot be reached."""
        try:
            await self.call(self.bucket, lambda: self.client().head_bucket(Bucket=self.bucket))
        except NotFound as error:
            raise EngineUnavailable(
                f"There is no bucket {self.bucket!r}.", hint="Create it, or check AMPWAVE_S3_BUCKET."
            ) from error

    async def ensure_bucket(self) -> None:
        """Create the bucket if it is missing, and switch its versioning on."""
        try:
            await self.ready()
        except EngineUnavailable as error:
            if not isinstance(error.__cause__, NotFound):
                raise
            await self.call(self.bucket, self._create_bucket)
        await self.call(self.bucket, self._version_bucket)

    async def remove_bucket(self) -> None:
        """Remove the bucket with every version of every object: for scratch buckets only."""
        await self.call(self.bucket, self._remove_bucket)

    def _remove_bucket(self) -> None:
        client = self.client()
        for page in client.get_paginator("list_object_versions").paginate(Bucket=self.bucket):
            for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                client.delete_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])
        client.delete_bucket(Bucket=self.bucket)

    def _create_bucket(self) -> None:
        place: Any = {"LocationConstraint": self._region}
        elsewhere = {} if self._region == "us-east-1" else {"CreateBucketConfiguration": place}
        with suppress(self.client().exceptions.BucketAlreadyOwnedByYou):
            self.client().create_bucket(Bucket=self.bucket, **elsewhere)

    def _version_bucket(self) -> None:
        if self.client().get_bucket_versioning(Bucket=self.bucket).get("Status") != "Enabled":
            self.client().put_bucket_versioning(
                Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"}
            )

    def client(self) -> "S3Client":
        """boto3's client, made on first use and on a thread: making it reads a megabyte of definitions."""
        with self._connecting:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected

    async def call(self, key: str, function: Callable[[], T]) -> T:
        """Run on a thread; what goes wrong there with this key leaves as one of ``storage.errors``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _translated, key, function)


class _Upload:
    """One object on its way in: in one request if it is small, in parts otherwise."""

    def __init__(self, store: S3BlobStore, key: str) -> None:
        self._store = store
        self._key = key
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[CompletedPartTypeDef] = []
        self.length = 0

    async def take(self, chunks: AsyncIterator[bytes]) -> None:
        """Send full parts as they fill."""
        size = self._store.part_bytes
        async for chunk in chunks:
            self.length += len(chunk)
            self._buffer += chunk
            while len(self._buffer) > size:
                part = bytes(self._buffer[:size])
                del self._buffer[:size]
                await self._settled(functools.partial(self._send, part))

    async def finish(self) -> bool:
        """Send what is left and make the object; False if the key was there."""
        rest = bytes(self._buffer)
        if self._upload_id is None:
            return await self._store.put_bytes(self._key, rest)
        await self._settled(functools.partial(self._send, rest))
        try:
            await self._settled(self._complete)
        except StaleVersion:
            await self.abort()
            return False
        return True

    async def abort(self) -> None:
        """Leave no parts behind: they would be paid for and never seen."""
        if self._upload_id is not None:
            with suppress(AmpwaveError):
                await self._store.call(self._key, self._abort)
            self._upload_id = None

    async def _settled(self, function: Callable[[], None]) -> None:
        """Run a step to its end even when we are cancelled, so that ``abort`` knows what there is."""
        step = asyncio.ensure_future(self._store.call(self._key, function))
        try:
            await asyncio.shield(step)
        except asyncio.CancelledError:
            await asyncio.wait({step})
            raise

    def _send(self, part: bytes) -> None:
        client, place = self._store.client(), self._place
        if self._upload_id is None:
            self._upload_id = client.create_multipart_upload(**place)["UploadId"]
        number = len(self._parts) + 1
        sent = client.upload_part(**place, UploadId=self._upload_id, PartNumber=number, Body=part)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def _complete(self) -> None:
        self._store.client().complete_multipart_upload(
            **self._place,
            UploadId=self._upload_id or "",
            MultipartUpload={"Parts": self._parts},
            IfNoneMatch="*",
        )

    def _abort(self) -> None:
        self._store.client().abort_multipart_upload(**self._place, UploadId=self._upload_id or "")

    @property
    def _place(self) -> Any:
        return {"Bucket": self._store.bucket, "Key": self._key}


def _config(checksum_mode: str, threads: int) -> Config:
    mode: Any = checksum_mode
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        request_checksum_calculation=mode,
        response_checksum_validation=mode,
        retries={"mode": "standard", "max_attempts": 3},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=threads,
    )


def _translated(key: str, function: Callable[[], T]) -> T:
    try:
        return function()
    except ClientError as error:
        raise _ours(key, error) from error
    except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
        raise EngineUnavailable(
            f"The S3 server did not answer: {type(error).__name__}.",
            hint="It is safe to try again; check that it is up and AMPWAVE_S3_ENDPOINT is right.",
        ) from error


def _ours(key: str, error: ClientError) -> AmpwaveError:
    code = error.response["Error"].get("Code", "")
    if code in _MISSING:
        return NotFound("object", key)
    if code in _REFUSED:
        return StaleVersion(f"Object {key!r} is not in the state that was expected.")
    if code == "InvalidRange":
        return InvalidInput(f"The range lies outside object {key!r}.")
    return EngineUnavailable(
        f"The S3 server refused {error.operation_name}: {code}.",
        hint="Check the bucket, the credentials and their rights.",
    )
