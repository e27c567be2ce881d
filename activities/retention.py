"""The end of what had its time, a few times a day."""

from datetime import datetime, timedelta

import structlog
from temporalio import activity

from activities.errors import mapped
from storage.clock import Clock
from storage.retention import RetentionPolicy, RetentionStore

log = structlog.get_logger(__name__)

_SECONDS = 120.0


class RetentionActivities:
    """Removes by one policy, at most once in ``every`` of this process."""

    def __init__(
        self,
        store: RetentionStore,
        policy: RetentionPolicy,
        clock: Clock,
        *,
        every: timedelta = timedelta(hours=6),
    ) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._every = every
        self._last: datetime | None = None

    @activity.defn
    @mapped
    async def remove_outlived(self) -> int:
        """How many rows went. Safe to repeat, and from two workers at once."""
        now = self._clock()
        if self._last is not None and now - self._last < self._every:
            return 0
        removed = await self._store.remove(self._policy, now, seconds=_SECONDS)
        self._last = now
        if removed:
            log.info("removed what had its time", **dict(removed))
        return sum(removed.values())
