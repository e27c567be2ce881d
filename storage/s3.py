# long-file: one adapter; the upload of a stream belongs to the store that begins it
"""Objects in an S3 bucket: created once, read in ranges, replaced only under a condition.

boto3 blocks, so its calls run on a few threads of their own. Nothing here holds more of an object
in memory than one part of an upload or one chunk of a download.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from storage.errors import AmpwaveError, EngineUnavailable, InvalidInput, NotFound, StaleVersion
from storage.read_budget import ReadBudget
from storage.s3_errors import translated
from storage.s3_stream import S3Streams

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

T = TypeVar("T")

CHUNK_BYTES = 256 * 1024
_CONNECTIONS = 512
"""Kept for reuse, one for each open download; none is opened before it is needed."""
_ASKED_WITHIN_S = 60
"""An address that we sign for ourselves is used at once, and never leaves this process."""


@dataclass(frozen=True, slots=True)
class S3Manner:
    """What differs between S3 servers and deployments."""

    checksum_mode: str = "when_required"
    """``when_supported`` adds trailing checksums, which some servers other than AWS refuse (S47)."""
    lock_days: int = 0
    """For so long nobody can delete what is to be kept; needs a bucket with Object Lock (S40). 0: no lock."""
    timeout_s: float = 30.0
    """How long the server may be silent."""


class S3BlobStore:
    """One bucket. ``close`` ends its threads.

    Without keys, boto3 looks for credentials the usual way.
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
        manner: S3Manner | None = None,
    ) -> None:
        self.bucket = bucket
        self.manner = manner or S3Manner()
        self.region = region
        self._threads = ThreadPoolExecutor(self.threads, thread_name_prefix="s3")
        self._connecting = Lock()
        self._connected: S3Client | None = None
        self._private = False
        self._streams = S3Streams(endpoint, self.manner.timeout_s)
        self._endpoint = endpoint
        self._connect = functools.partial(
            boto3.session.Session().client,
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=_config(self.manner),
        )

    def close(self) -> None:
        """End the threads; calls that run are waited for by nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._streams.close()
        if self._connected is not None:
            self._connected.close()

    async def put_new(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        length: int | None = None,
        keep: bool = False,
        anew: bool = False,
    ) -> bool:
        """See ``storage.ports.BlobStore``; one part in memory at a time.

        Raises InvalidInput, and stores nothing, if the chunks do not add up to ``length`` bytes.
        Of two creators of one object of several parts at the same moment, AWS lets one win;
        SeaweedFS 4.48 may let both. So large objects are keyed by their own hash.
        """
        lock = self._lock() if keep and self.manner.lock_days else {}
        upload = _Upload(self, key, {} if anew else {"IfNoneMatch": "*"}, lock)
        try:
            await upload.take(chunks)
            if length is not None and upload.length != length:
                raise InvalidInput(f"{upload.length} bytes came where {length} were announced.")
            return await upload.finish()
        except BaseException:
            await asyncio.shield(upload.abort())
            raise

    def _lock(self) -> dict[str, Any]:
        """COMPLIANCE: not even our own credentials take it back. A lock asks for a checksum."""
        until = datetime.now(UTC) + timedelta(days=self.manner.lock_days)
        return {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}

    async def put_bytes(self, key: str, data: bytes) -> bool:
        """Create a small object; False if the key was there."""
        return await self.create(key, data, {"IfNoneMatch": "*"})

    async def create(self, key: str, data: bytes, options: dict[str, Any]) -> bool:
        """Put with these options of S3; False if their condition does not hold."""
        try:
            await self.call(key, lambda: self._put(key, data, **options))
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

    def _put(self, key: str, data: bytes, **options: Any) -> None:
        self.client().put_object(Bucket=self.bucket, Key=key, Body=data, **options)

    async def get(self, key: str, *, limit: int) -> tuple[bytes, str]:
        """(bytes, etag); raise NotFound, or InvalidInput when it is longer than ``limit`` bytes."""
        return await self.call(key, lambda: self._get(key, limit))

    def _get(self, key: str, limit: int) -> tuple[bytes, str]:
        answer = self.client().get_object(Bucket=self.bucket, Key=key)
        # "with body" would hand out the raw stream, which checks neither length nor checksum.
        with closing(answer["Body"]) as body:
            if answer["ContentLength"] > limit:
                raise InvalidInput(f"Object {key!r} is longer than the {limit} bytes that it may have.")
            return body.read(), answer["ETag"]

    async def length(self, key: str) -> int:
        """Bytes; raise NotFound for an unknown key."""
        head = await self.call(key, lambda: self.client().head_object(Bucket=self.bucket, Key=key))
        return head["ContentLength"]

    async def read(
        self, key: str, *, first: int = 0, last: int | None = None, budget: ReadBudget | None = None
    ) -> AsyncIterator[bytes]:
        """Stream bytes ``first`` to ``last`` (inclusive), in chunks; raise NotFound or InvalidInput.

        No thread is held between chunks, so slow readers cost a connection each and nothing else. A server
        that ends before all of it came raises EngineUnavailable: what was cut off is never taken for whole.
        """
        whole = first == 0 and last is None
        part = None if whole else f"bytes={first}-{'' if last is None else last}"
        url = await self.call(key, lambda: self._address(key))
        budget = budget or ReadBudget(8 * CHUNK_BYTES)
        stream = await self._streams.open(url, part, budget)
        if stream is not None:
            async with aclosing(stream):
                async for chunk in stream:
                    try:
                        yield chunk
                    finally:
                        budget.gave(len(chunk))
            return
        body = await self.call(key, lambda: self._open(key, part))
        try:
            while chunk := await self.call(key, lambda: body.read(budget.size())):
                yield chunk
        finally:
            body.close()

    def _address(self, key: str) -> str:
        return self.client().generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=_ASKED_WITHIN_S
        )

    def _open(self, key: str, part: str | None) -> Any:
        given: Any = {} if part is None else {"Range": part}
        return self.client().get_object(Bucket=self.bucket, Key=key, **given)["Body"]

    async def delete(self, key: str) -> None:
        """In a versioned bucket the bytes stay, under a delete marker. An unknown key is no error."""
        await self.call(key, lambda: self.client().delete_object(Bucket=self.bucket, Key=key))

    async def ready(self) -> None:
        """Raise EngineUnavailable if the bucket cannot be reached, or is open to everybody (S42)."""
        try:
            await self.call(self.bucket, lambda: self.client().head_bucket(Bucket=self.bucket))
        except NotFound as error:
            raise EngineUnavailable(
                f"There is no bucket {self.bucket!r}.", hint="Create it, or check AMPWAVE_S3_BUCKET."
            ) from error
        if not self._private:
            await check_private(self)
            self._private = True

    async def ensure_bucket(self) -> None:
        """Create the bucket if it is missing, switch its versioning on, and Object Lock if it is wanted."""
        try:
            await self.ready()
        except EngineUnavailable as error:
            if not isinstance(error.__cause__, NotFound):
                raise
            await self.call(self.bucket, self._create_bucket)
        await self.call(self.bucket, self._version_bucket)
        if self.manner.lock_days:
            await self.call(self.bucket, self._lock_bucket)

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
        place: Any = {"LocationConstraint": self.region}
        elsewhere = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": place}
        with suppress(self.client().exceptions.BucketAlreadyOwnedByYou):
            self.client().create_bucket(Bucket=self.bucket, **elsewhere)

    def _version_bucket(self) -> None:
        if self.client().get_bucket_versioning(Bucket=self.bucket).get("Status") != "Enabled":
            self.client().put_bucket_versioning(
                Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"}
            )

    def _lock_bucket(self) -> None:
        """No default retention: only what is to be kept is locked, or nothing could ever be cleaned up."""
        client = self.client()
        try:
            client.get_object_lock_configuration(Bucket=self.bucket)
        except ClientError:
            enabled: Any = {"ObjectLockEnabled": "Enabled"}
            client.put_object_lock_configuration(Bucket=self.bucket, ObjectLockConfiguration=enabled)

    def stranger(self) -> "S3Client":
        """A client without credentials, as anybody on the network has one."""
        config = _config(S3Manner(timeout_s=5.0)).merge(Config(signature_version=UNSIGNED))
        client: S3Client = boto3.session.Session().client(
            "s3", endpoint_url=self._endpoint, region_name=self.region, config=config
        )
        return client

    def client(self) -> "S3Client":
        """boto3's client, made on first use and on a thread: making it reads a megabyte of definitions."""
        with self._connecting:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected

    async def call(self, key: str, function: Callable[[], T]) -> T:
        """Run on a thread; what goes wrong there with this key leaves as one of ``storage.errors``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, translated, key, function)


PROBE = "private-probe"
"""A stranger asks for this object. It says nothing."""


async def check_private(store: S3BlobStore) -> None:
    """Raise EngineUnavailable if somebody without credentials may list the bucket or read from it (S42)."""
    try:
        await store.length(PROBE)
    except NotFound:
        await store.put_bytes(PROBE, b"")

    def ask() -> list[str]:
        stranger, found = store.stranger(), []
        asks: dict[str, Callable[[], object]] = {
            "list it": lambda: stranger.list_objects_v2(Bucket=store.bucket, MaxKeys=1),
            "read it": lambda: stranger.head_object(Bucket=store.bucket, Key=PROBE),
        }
        try:
            for what, asked in asks.items():
                with suppress(ClientError):
                    asked()
                    found.append(what)
        finally:
            stranger.close()
        return found

    if found := await store.call(store.bucket, ask):
        raise EngineUnavailable(
            f"The bucket {store.bucket!r} is not private: anybody may {' and '.join(found)}.",
            hint="Remove its public policy and ACLs; chargers and people need neither.",
        )


class _Upload:
    """One object on its way in: in one request if it is small, in parts otherwise."""

    def __init__(self, store: S3BlobStore, key: str, condition: dict[str, Any], lock: dict[str, Any]) -> None:
        self._store = store
        self._key = key
        self._condition = condition
        self._lock = lock
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
            checked = {**self._lock, "ChecksumAlgorithm": "SHA256"} if self._lock else {}
            return await self._store.create(self._key, rest, {**self._condition, **checked})
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
            self._upload_id = client.create_multipart_upload(**place, **self._lock)["UploadId"]
        number = len(self._parts) + 1
        sent = client.upload_part(**place, UploadId=self._upload_id, PartNumber=number, Body=part)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def _complete(self) -> None:
        self._store.client().complete_multipart_upload(
            **self._place,
            UploadId=self._upload_id or "",
            MultipartUpload={"Parts": self._parts},
            **self._condition,
        )

    def _abort(self) -> None:
        self._store.client().abort_multipart_upload(**self._place, UploadId=self._upload_id or "")

    @property
    def _place(self) -> Any:
        return {"Bucket": self._store.bucket, "Key": self._key}


def _config(manner: S3Manner) -> Config:
    mode: Any = manner.checksum_mode
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        request_checksum_calculation=mode,
        response_checksum_validation=mode,
        retries={"mode": "standard", "max_attempts": 3},
        connect_timeout=min(5.0, manner.timeout_s),
        read_timeout=manner.timeout_s,
        max_pool_connections=_CONNECTIONS,
    )
