"""Group commit: what all sockets received goes to the store in one transaction every few milliseconds.

Nothing is acknowledged before it is committed, and nothing that was taken in is lost: while the
store is away, the commit is tried again and the sockets wait (their chargers see no answers).

Two commits may run at the same time, so that this process works while the database does. They never
hold records of the same charger: what a charger sends is committed in the order in which it came.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from csms.metrics import CsmsMetrics
from storage.errors import EngineUnavailable
from storage.events import SHEDDABLE, EventRecord, FrameRecord
from storage.ports import IngestStore, Projector

log = structlog.get_logger(__name__)

_EVENT_WEIGHT = 500
"""About what an event costs in memory beside its frame's text, bytes."""

Done = Callable[[Exception | None], None]
"""Told once that records are committed, or why they never will be. Must not raise."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How long to gather, how much to hold."""

    interval_s: float = 0.003
    """How long a batch gathers after its first message; while a commit runs, the next one gathers anyway."""
    pause_s: float = 0.025
    """Between the beginnings of two commits of few: each has seven statements, however little is in it."""
    few: int = 32
    """So many waiting records do not wait for the pause."""
    max_batch: int = 1000
    lanes: int = 2
    """Commits at the same time."""
    lane_from: int = 100
    """Another commit begins beside a running one only when so many records wait: fewer do better together."""
    max_pending_bytes: int = 64 * 1024 * 1024
    """More than this waits at the sockets."""
    shed_share: float = 0.5
    """Above this share of ``max_pending_bytes`` meter samples are thinned out, nothing else ever (F101)."""
    keep_one_in: int = 10
    first_backoff_s: float = 0.05
    max_backoff_s: float = 2.0


@dataclass(slots=True)
class _Entry:
    charger_id: str
    frames: Sequence[FrameRecord]
    events: Sequence[EventRecord]
    weight: int
    done: Done


class Ingest:
    """The one door to the store for everything that sockets receive."""

    def __init__(
        self, store: IngestStore, project: Projector, options: IngestOptions, metrics: CsmsMetrics
    ) -> None:
        self._store = store
        self._project = project
        self._options = options
        self._metrics = metrics
        self._queue: deque[_Entry] = deque()
        self._arrived = asyncio.Event()
        self._moved = asyncio.Event()
        """A commit ended, or enough waits for another one beside it."""
        self._enough = asyncio.Event()
        """No longer few are waiting, or the node is stopping."""
        self._began = -math.inf
        """When the latest commit began, by the loop's clock."""
        self._lanes: set[asyncio.Task[None]] = set()
        self._in_flight: set[str] = set()
        """The chargers whose records are being committed now."""
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._load = 0
        self._shed = 0
        self._sheddable_seen = 0
        self._worker: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def closing(self) -> bool:
        """Whether the node is stopping: what is not stored by now may never be."""
        return self._closing

    @property
    def at_ease(self) -> bool:
        """Whether there is room enough, and nothing is thinned out or refused."""
        return not self._closing and not self._pressed()

    def start(self) -> None:
        """Begin to commit."""
        self._worker = asyncio.create_task(self._run(), name="ingest")

    async def stop(self, drain_s: float) -> None:
        """Commit what is pending, for at most ``drain_s`` seconds; what is left was never answered."""
        self._closing = True
        self._arrived.set()
        self._moved.set()
        self._enough.set()
        self._wake_waiters()
        if self._worker is not None:
            done, _ = await asyncio.wait({self._worker}, timeout=drain_s)
            if not done:
                self._worker.cancel()
                await asyncio.wait({self._worker})
        for entry in self._queue:
            entry.done(EngineUnavailable("The node stopped before this could be stored."))
        self._queue.clear()

    # What comes in. The records of one call belong to one charger.

    async def put(self, frames: Sequence[FrameRecord], events: Sequence[EventRecord]) -> asyncio.Future[None]:
        """Hand something in, waiting for room; the future is done once it is committed.

        The future fails only where the store refuses this very entry, or at shutdown.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        kept = self._thin(events)
        if events and not kept:
            future.set_result(None)
            return future
        weight = _weight(frames, kept)
        await self._room(weight)
        if self._closing:
            raise EngineUnavailable("The node is stopping.")
        self._enter(frames, kept, weight, lambda error: _settle(future, error))
        return future

    def offer(self, frames: Sequence[FrameRecord], events: Sequence[EventRecord], done: Done) -> bool:
        """Hand something in if there is room for it at once; False: nothing was taken, ``put`` waits."""
        weight = _weight(frames, events)
        if not self.at_ease or self._full(weight):
            return False
        self._enter(frames, events, weight, done)
        return True

    def _enter(
        self, frames: Sequence[FrameRecord], events: Sequence[EventRecord], weight: int, done: Done
    ) -> None:
        charger_id = (frames[0] if frames else events[0]).charger_id
        self._queue.append(_Entry(charger_id, frames, events, weight, done))
        self._load += weight
        self._arrived.set()
        if len(self._queue) == self._options.lane_from:
            self._moved.set()
        if len(self._queue) == self._options.few:
            self._enough.set()

    def _pressed(self) -> bool:
        return self._load >= self._options.max_pending_bytes * self._options.shed_share

    def _full(self, weight: int) -> bool:
        # An empty queue takes anything, however large.
        return bool(self._load) and self._load + weight > self._options.max_pending_bytes

    def _thin(self, events: Sequence[EventRecord]) -> Sequence[EventRecord]:
        """Under pressure one in ten meter samples stays; every other kind of event always does."""
        if not self._pressed():
            return events
        return [event for event in events if event.kind not in SHEDDABLE or self._keep_sample()]

    def _keep_sample(self) -> bool:
        self._sheddable_seen += 1
        if self._sheddable_seen % self._options.keep_one_in == 0:
            return True
        if self._shed == 0:
            log.warning("meter samples are thinned out: the store is behind", pending_bytes=self._load)
        self._shed += 1
        self._metrics.shed.inc()
        return False

    async def _room(self, weight: int) -> None:
        while self._full(weight) and not self._closing:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _wake_waiters(self) -> None:
        """Each looks again whether there is room now."""
        waiting, self._waiters = self._waiters, deque()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    # What goes to the store.

    async def _run(self) -> None:
        try:
            while not (self._closing and not self._queue):
                await self._arrived.wait()
                if not self._closing:
                    await self._gather()
                await self._lane_free()
                await self._begin(self._take())
            if self._lanes:
                await asyncio.wait(self._lanes)
        finally:
            for lane in self._lanes:
                lane.cancel()
            await asyncio.gather(*self._lanes, return_exceptions=True)

    async def _gather(self) -> None:
        """A moment for what comes together; few wait for others, as long as a commit has just begun."""
        await asyncio.sleep(self._options.interval_s)
        self._enough.clear()
        if self._closing or len(self._queue) >= self._options.few:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._began + self._options.pause_s):
                await self._enough.wait()

    async def _lane_free(self) -> None:
        """Wait until the next commit may begin: beside none at once, beside another when it is worth it."""
        while self._lanes and (
            len(self._lanes) >= self._options.lanes or len(self._queue) < self._options.lane_from
        ):
            self._moved.clear()
            await self._moved.wait()
            if self._closing and len(self._lanes) < self._options.lanes:
                return

    def _take(self) -> list[_Entry]:
        """The oldest records of chargers that have none in flight; the others keep their place."""
        batch: list[_Entry] = []
        kept: list[_Entry] = []
        while self._queue and len(batch) < self._options.max_batch:
            entry = self._queue.popleft()
            (kept if entry.charger_id in self._in_flight else batch).append(entry)
        self._queue.extendleft(reversed(kept))
        if not self._queue and not self._closing:
            self._arrived.clear()
        return batch

    async def _begin(self, batch: list[_Entry]) -> None:
        if not batch:
            # All that waits belongs to chargers in flight. At the end nothing else comes: without this
            # wait the loop would never give way to the commit it waits for.
            if self._closing and self._lanes:
                await asyncio.wait(self._lanes, return_when=asyncio.FIRST_COMPLETED)
            return
        self._began = asyncio.get_running_loop().time()
        self._in_flight.update(entry.charger_id for entry in batch)
        self._metrics.pending_bytes.set(self._load)
        lane = asyncio.create_task(self._lane(batch), name="ingest commit")
        self._lanes.add(lane)
        lane.add_done_callback(self._lanes.discard)

    async def _lane(self, batch: Sequence[_Entry]) -> None:
        try:
            await self._commit(batch)
        finally:
            self._in_flight.difference_update(entry.charger_id for entry in batch)
            self._lanes.discard(asyncio.current_task())
            self._release(batch)
            self._moved.set()

    def _release(self, batch: Sequence[_Entry]) -> None:
        self._load -= sum(entry.weight for entry in batch)
        self._metrics.pending_bytes.set(self._load)
        if self._shed and not self._pressed():
            log.warning("meter samples are kept again", dropped=self._shed)
            self._shed = 0
        self._wake_waiters()

    async def _commit(self, batch: Sequence[_Entry], *, part: bool = False) -> None:
        """Commit them all; if the store refuses the batch, in halves, so that one cannot hold the rest."""
        began = time.perf_counter()
        try:
            await self._persist(batch)
        except asyncio.CancelledError:
            for entry in batch:
                entry.done(EngineUnavailable("The node stopped before this could be stored."))
            raise
        except Exception as error:
            if len(batch) == 1 or not part:
                log.exception("a batch was refused by the store", entries=len(batch))
            await self._in_halves(batch, error)
        else:
            for entry in batch:
                entry.done(None)
        self._metrics.commit_seconds.observe(time.perf_counter() - began)
        self._metrics.commit_entries.observe(len(batch))

    async def _in_halves(self, batch: Sequence[_Entry], error: Exception) -> None:
        """Twenty commits find the one entry in a thousand that cannot be stored; order is kept."""
        if len(batch) == 1:
            batch[0].done(error)
            return
        middle = len(batch) // 2
        try:
            await self._commit(batch[:middle], part=True)
        except asyncio.CancelledError:
            for left in batch[middle:]:
                left.done(EngineUnavailable("The node stopped before this could be stored."))
            raise
        await self._commit(batch[middle:], part=True)

    async def _persist(self, batch: Sequence[_Entry]) -> None:
        frames = [frame for entry in batch for frame in entry.frames]
        events = [event for entry in batch for event in entry.events]
        backoff = self._options.first_backoff_s
        while True:
            try:
                await self._store.commit(frames, events, self._project)
                return
            except EngineUnavailable as error:
                self._metrics.commit_failures.inc()
                log.warning("the store is away; sockets wait", entries=len(batch), error=str(error))
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, self._options.max_backoff_s)


def _weight(frames: Sequence[FrameRecord], events: Sequence[EventRecord]) -> int:
    texts = sum([len(frame.text) + len(frame.answer or "") for frame in frames])
    return texts + _EVENT_WEIGHT * (len(events) + len(frames))


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _retrieve(done: asyncio.Future[None]) -> None:
    """Not every caller waits; an exception that nobody reads is in the log already."""
    if not done.cancelled():
        done.exception()
