"""What is left in a bucket below a prefix, and its end: for keys that nothing refers to any more."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from storage.operator_ports import Leftover

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PAGE = 1000

T = TypeVar("T")


class Bucket(Protocol):
    """What is used of ``S3BlobStore``: its client, on its threads, with its errors."""

    bucket: str

    def client(self) -> "S3Client":
        """Boto's."""

    async def call(self, key: str, function: Callable[[], T]) -> T:
        """Run it on a thread; what goes wrong about this key is one of our errors."""


class S3Leftovers:
    """See ``storage.operator_ports.LeftoverStore``. Over the client and the threads of the bucket's store."""

    def __init__(self, blobs: Bucket) -> None:
        self._blobs = blobs

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[Leftover]]:
        """Every key of which a version or a delete marker is left, with its newest time, page by page."""
        marker: dict[str, str] = {}
        while True:
            page = await self._blobs.call(prefix, partial(self._list, prefix, marker))
            newest: dict[str, datetime] = {}
            for one in _versions(page):
                newest[one["Key"]] = max(one["LastModified"], newest.get(one["Key"], one["LastModified"]))
            yield [Leftover(key, at) for key, at in newest.items()]
            if not page.get("IsTruncated"):
                return
            marker = {"KeyMarker": page["NextKeyMarker"]}
            if page.get("NextVersionIdMarker"):
                marker["VersionIdMarker"] = page["NextVersionIdMarker"]

    async def purge(self, key: str) -> int:
        """Delete every version of it for good; how many there were."""
        return await self._blobs.call(key, partial(self._purge, key))

    async def abort_uploads(self, prefix: str, before: datetime) -> int:
        """Give up uploads in parts that began before then: whoever began them is gone. How many."""
        return await self._blobs.call(prefix, partial(self._abort, prefix, before))

    def _list(self, prefix: str, marker: dict[str, str]) -> Any:
        given: Any = {"Bucket": self._blobs.bucket, "Prefix": prefix, "MaxKeys": _PAGE, **marker}
        return self._blobs.client().list_object_versions(**given)

    def _purge(self, key: str) -> int:
        client, bucket, gone = self._blobs.client(), self._blobs.bucket, 0
        # Another key may begin with this one; a key has few versions, for it is created once.
        for one in [each for each in _versions(self._list(key, {})) if each["Key"] == key]:
            client.delete_object(Bucket=bucket, Key=key, VersionId=one["VersionId"])
            gone += 1
        return gone

    def _abort(self, prefix: str, before: datetime) -> int:
        client, bucket, gone = self._blobs.client(), self._blobs.bucket, 0
        for one in client.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", []):
            if one["Initiated"] < before and one["Key"].startswith(prefix):
                client.abort_multipart_upload(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])
                gone += 1
        return gone


def _versions(page: Any) -> list[Any]:
    return [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
