"""Keeping a bucket clean: every version of every object, unfinished uploads, removal for good."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from storage.errors import Conflict, EngineUnavailable, NotFound
from storage.s3 import S3BlobStore
from storage.transfer import OpenMultipart, StoredVersion

MOST_MULTIPARTS = 100_000
"""In one round; whoever gives up those it finds gets the others with the next."""


class S3BlobKeeper:
    """See ``storage.transfer.BlobKeeper``; over the same bucket as a blob store."""

    def __init__(self, store: S3BlobStore, *, page: int = 1000) -> None:
        self._store = store
        self._page_size = page

    async def versions(
        self, prefix: str = "", *, after: str = "", limit: int = 1000
    ) -> Sequence[StoredVersion]:
        """One page; a key whose versions may go on behind it is left for the next page."""
        return await self._store.call(prefix, lambda: self._page(prefix, after, limit))

    def _page(self, prefix: str, after: str, limit: int) -> list[StoredVersion]:
        answer = self._store.client().list_object_versions(
            Bucket=self._store.bucket, Prefix=prefix, KeyMarker=after, MaxKeys=limit
        )
        found = sorted(_versions(answer), key=lambda one: (one.key, one.latest))
        found = [one for one in found if one.key > after]
        if not answer.get("IsTruncated") or not found:
            return found
        whole = [one for one in found if one.key != found[-1].key]
        return whole or self._all_of(found[-1].key)

    def _all_of(self, key: str) -> list[StoredVersion]:
        """A key with more versions than a page holds."""
        pages = self._store.client().get_paginator("list_object_versions")
        answers = pages.paginate(Bucket=self._store.bucket, Prefix=key)
        return [one for answer in answers for one in _versions(answer) if one.key == key]

    async def multiparts(self) -> Sequence[OpenMultipart]:
        """In the order of the server, page by page."""
        store = self._store
        return await store.call(store.bucket, self._multiparts)

    def _multiparts(self) -> list[OpenMultipart]:
        pages = self._store.client().get_paginator("list_multipart_uploads")
        answers = pages.paginate(Bucket=self._store.bucket, PaginationConfig={"PageSize": self._page_size})
        found = (one for answer in answers for one in answer.get("Uploads", []))
        return [
            OpenMultipart(one["Key"], one["UploadId"], one["Initiated"])
            for one in itertools.islice(found, MOST_MULTIPARTS)
        ]

    async def remove_version(self, key: str, version_id: str) -> None:
        """Raise Conflict for one that Object Lock holds."""
        store, client = self._store, self._store.client
        place: dict[str, Any] = {"Bucket": store.bucket, "Key": key, "VersionId": version_id}
        try:
            await store.call(key, lambda: client().delete_object(**place))
        except EngineUnavailable as error:
            if "AccessDenied" not in error.message:
                raise
            raise Conflict(f"Version {version_id} of {key!r} cannot be removed: it is locked.") from error

    async def abort_multipart(self, multipart: OpenMultipart) -> None:
        """One that is gone by now is no error."""
        store, client = self._store, self._store.client
        place: dict[str, Any] = {"Bucket": store.bucket, "Key": multipart.key}
        try:
            await store.call(
                multipart.key,
                lambda: client().abort_multipart_upload(**place, UploadId=multipart.multipart_id),
            )
        except NotFound:
            return


def _versions(answer: Any) -> Iterator[StoredVersion]:
    stored = ((one, one["Size"], False) for one in answer.get("Versions", []))
    markers = ((one, 0, True) for one in answer.get("DeleteMarkers", []))
    for one, length, marker in itertools.chain(stored, markers):
        yield StoredVersion(
            one["Key"], one["VersionId"], one["LastModified"], length, bool(one["IsLatest"]), marker
        )
