"""Group commit: what all sockets received goes to the store in one transaction every few milliseconds.

Nothing is acknowledged before it is committed, and nothing that was taken in is lost: while the
store is away, the commit is tried again and the sockets wait (their chargers see no answers).
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from csms.metrics import CsmsMetrics
from storage.errors import EngineUnavailable
from storage.events import SHEDDABLE, EventRecord, FrameRecord
from storage.ports import IngestStore, Projector

log = structlog.get_logger(__name__)

_EVENT_WEIGHT = 500
"""About what an event costs in memory beside its frame's text, bytes."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How long to gather, how much to hold."""

    interval_s: float = 0.003
    """How long a batch gathers after its first message; while a commit runs, the next one gathers anyway."""
    max_batch: int = 2000
    max_pending_bytes: int = 64 * 1024 * 1024
    """More than this waits at the sockets."""
    shed_share: float = 0.5
    """Above this share of ``max_pending_bytes`` meter samples are thinned out, nothing else ever (F101)."""
    keep_one_in: int = 10
    first_backoff_s: float = 0.05
    max_backoff_s: float = 2.0


@dataclass(frozen=True, slots=True)
class _Entry:
    frames: tuple[FrameRecord, ...]
    events: tuple[EventRecord, ...]
    weight: int
    done: asyncio.Future[None]


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

    def start(self) -> None:
        """Begin to commit."""
        self._worker = asyncio.create_task(self._run(), name="ingest")

    async def stop(self, drain_s: float) -> None:
        """Commit what is pending, for at most ``drain_s`` seconds; what is left was never answered."""
        self._closing = True
        self._arrived.set()
        self._wake_waiters()
        if self._worker is not None:
            done, _ = await asyncio.wait({self._worker}, timeout=drain_s)
            if not done:
                self._worker.cancel()
                await asyncio.wait({self._worker})
        for entry in self._queue:
            _fail(entry, EngineUnavailable("The node stopped before this could be stored."))
        self._queue.clear()

    async def put(self, frames: Sequence[FrameRecord], events: Sequence[EventRecord]) -> asyncio.Future[None]:
        """Hand something in, waiting for room; the future is done once it is committed.

        The future fails only where the store refuses this very entry, or at shutdown.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_retrieve)
        kept = self._thin(events)
        if events and not kept:
            done.set_result(None)
            return done
        weight = sum(len(frame.text) for frame in frames) + _EVENT_WEIGHT * (len(kept) + len(frames))
        await self._room(weight)
        if self._closing:
            raise EngineUnavailable("The node is stopping.")
        self._queue.append(_Entry(tuple(frames), tuple(kept), weight, done))
        self._weigh(weight)
        self._arrived.set()
        return done

    def _thin(self, events: Sequence[EventRecord]) -> Sequence[EventRecord]:
        """Under pressure one in ten meter samples stays; every other kind of event always does."""
        if self._load < self._options.max_pending_bytes * self._options.shed_share:
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
        # An empty queue takes anything, however large.
        while self._load and self._load + weight > self._options.max_pending_bytes and not self._closing:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _weigh(self, weight: int) -> None:
        self._load += weight
        self._metrics.pending_bytes.set(self._load)

    async def _run(self) -> None:
        while not (self._closing and not self._queue):
            await self._arrived.wait()
            if not self._closing:
                await asyncio.sleep(self._options.interval_s)
            batch = self._take()
            if batch:
                await self._commit(batch)
                self._release(batch)

    def _take(self) -> list[_Entry]:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._options.max_batch))]
        if not self._queue and not self._closing:
            self._arrived.clear()
        return batch

    def _release(self, batch: Sequence[_Entry]) -> None:
        self._weigh(-sum(entry.weight for entry in batch))
        if self._shed and self._load < self._options.max_pending_bytes * self._options.shed_share:
            log.warning("meter samples are kept again", dropped=self._shed)
            self._shed = 0
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        """Each looks again whether there is room now."""
        waiting, self._waiters = self._waiters, deque()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def _commit(self, batch: Sequence[_Entry]) -> None:
        """Commit them all; if the store refuses the batch, each alone, so that one cannot hold the rest."""
        began = time.perf_counter()
        try:
            await self._persist(batch)
        except asyncio.CancelledError:
            for entry in batch:
                _fail(entry, EngineUnavailable("The node stopped before this could be stored."))
            raise
        except Exception as error:
            log.exception("a batch was refused by the store", entries=len(batch))
            await self._one_by_one(batch, error)
        else:
            for entry in batch:
                if not entry.done.done():
                    entry.done.set_result(None)
        self._metrics.commit_seconds.observe(time.perf_counter() - began)
        self._metrics.commit_entries.observe(len(batch))

    async def _one_by_one(self, batch: Sequence[_Entry], error: Exception) -> None:
        if len(batch) == 1:
            _fail(batch[0], error)
            return
        for entry in batch:
            await self._commit([entry])

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


def _fail(entry: _Entry, error: Exception) -> None:
    if not entry.done.done():
        entry.done.set_exception(error)


def _retrieve(done: asyncio.Future[None]) -> None:
    """Not every caller waits; an exception that nobody reads is in the log already."""
    if not done.cancelled():
        done.exception()
