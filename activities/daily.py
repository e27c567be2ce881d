"""The files of every day that is over, written once."""

from datetime import date, timedelta

from temporalio import activity

from activities.errors import mapped
from activities.stores import Stores
from storage.canonical import canonical_json, sha256_hex
from storage.daily import (
    SESSIONS,
    DailyStore,
    DayManifest,
    count_rows,
    day_file,
    days_over,
    file_key,
    manifest_key,
    session_file,
    span_of,
)
from storage.errors import NotFound
from storage.ports import BlobStore

_MOST_BYTES = 1024**3
_LATE = timedelta(hours=1)
"""A day is written this long after it is over."""


class DailyActivities:
    """Register on the shared queue."""

    def __init__(self, stores: Stores, daily: DailyStore, blobs: BlobStore) -> None:
        self._stores = stores
        self._daily = daily
        self._blobs = blobs
        self._done: set[date] = set()

    @activity.defn
    @mapped
    async def export_days(self) -> int:
        """Write what is missing of the last quarter; how many days. Safe to repeat, and from two at once."""
        first = await self._daily.first_day()
        if first is None:
            return 0
        now = self._stores.clock() - _LATE
        made = 0
        for day in days_over(first, now):
            if day not in self._done:
                made += await self._export(day)
        return made

    async def _export(self, day: date) -> int:
        start, end = span_of(day)
        name = day.isoformat()
        if await self._is_there(manifest_key(name)):
            self._done.add(day)
            return 0
        if not await self._daily.has_read(end):
            return 0
        data, rows = session_file(await self._daily.settled(start, end))
        key = file_key(name, SESSIONS)
        if not await self._blobs.put_bytes(key, data):
            # Written by another, or by one who died before the manifest: that file stands.
            data, _ = await self._blobs.get(key, limit=_MOST_BYTES)
            rows = count_rows(data)
        manifest = DayManifest(name, self._stores.clock(), (day_file(SESSIONS, data, rows),))
        document = canonical_json(manifest)
        if not await self._blobs.put_bytes(manifest_key(name), document):
            return 0
        await self._stores.record(
            "record-keeping", "export.made", f"export/{name}", manifest_sha256=sha256_hex(document), rows=rows
        )
        self._done.add(day)
        return 1

    async def _is_there(self, key: str) -> bool:
        try:
            await self._blobs.length(key)
        except NotFound:
            return False
        return True
