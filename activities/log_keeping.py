"""Housekeeping of uploaded logs: what has had its time goes, and what nothing refers to.

A log is first on record as removed, then its bytes go: a crash in between leaves bytes without a record,
which the next round finds like any other leftover. Its name, length and SHA-256 stay on record.
"""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities.errors import mapped
from activities.stores import Stores
from storage.log import LOG_PREFIX
from storage.operator_ports import LeftoverStore

AT_ONCE = 200
"""Logs that one round removes at most; the next one goes on."""
GRACE = timedelta(days=1)
"""Longer than any upload may run: what is younger may be one that is not on record yet."""
_WHO = "housekeeping"


@dataclass(frozen=True, slots=True)
class LogRound:
    """What one round removed."""

    removed: int = 0
    orphans: int = 0
    broken_off: int = 0


class LogKeepingActivities:
    """On any worker."""

    def __init__(self, stores: Stores, leftovers: LeftoverStore, kept: timedelta) -> None:
        self._stores = stores
        self._leftovers = leftovers
        self._kept = kept

    @activity.defn
    @mapped
    async def keep_logs(self) -> LogRound:
        """Safe to repeat, and from two workers at once."""
        now = self._stores.clock()
        removed = await self._outlived()
        orphans = await self._orphans()
        broken_off = await self._leftovers.abort_uploads(LOG_PREFIX, now - GRACE)
        return LogRound(removed, orphans, broken_off)

    async def _outlived(self) -> int:
        stores, count = self._stores, 0
        now = stores.clock()
        for request in await stores.logs.outlived(now - self._kept, limit=AT_ONCE):
            upload = request.upload
            if upload is None or not await stores.logs.set_removed(request.request_id, now):
                continue
            await stores.record(
                _WHO,
                "log.removed",
                f"charger/{request.charger_id}",
                request_id=request.request_id,
                sha256=upload.sha256,
                received_at=upload.received_at.isoformat(),
            )
            await self._leftovers.purge(upload.object_key)
            count += 1
        return count

    async def _orphans(self) -> int:
        count, limit = 0, self._stores.clock() - GRACE
        async for page in self._leftovers.pages(LOG_PREFIX):
            old = [one.key for one in page if one.newest < limit and one.key.startswith(LOG_PREFIX)]
            wanted = await self._stores.logs.kept_objects(old) if old else frozenset()
            for key in old:
                if key not in wanted:
                    await self._leftovers.purge(key)
                    count += 1
        return count
