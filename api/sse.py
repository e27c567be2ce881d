"""Server-sent events: what happened, from any point on, without gaps, and bounded in every direction.

A stream ends by itself after ``stream_seconds``; the reader comes back with Last-Event-ID and loses
nothing, and a token that was revoked meanwhile is out.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import orjson
import structlog
from fastapi.responses import StreamingResponse
from starlette.types import Send

from api.errors import TooManyStreams
from storage.errors import EngineUnavailable
from storage.events import StoredEvent
from storage.ports import EventStore

_log = structlog.get_logger("api")
BATCH = 500
RETRY = b"retry: 2000\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
Wanted = Callable[[StoredEvent], bool]


class Gauge(Protocol):
    """What a stream counts itself on."""

    def inc(self, amount: float = 1) -> None:
        """One more."""

    def dec(self, amount: float = 1) -> None:
        """One less."""


class StreamSeats:
    """How many streams this process serves at once."""

    def __init__(self, limit: int, gauge: Gauge) -> None:
        self._limit = limit
        self._taken = 0
        self._gauge = gauge

    def seated(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The stream on a seat of its own until it ends; raises TooManyStreams when none is free."""
        if self._taken >= self._limit:
            raise TooManyStreams(self._limit)
        return self._run(stream)

    async def _run(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        self._taken += 1
        self._gauge.inc()
        try:
            async with aclosing(stream):
                async for chunk in stream:
                    yield chunk
        finally:
            self._taken -= 1
            self._gauge.dec()


class EventStreamResponse(StreamingResponse):
    """A stream that is closed, with all it holds, when its reader goes away."""

    media_type = "text/event-stream"

    def __init__(self, stream: AsyncGenerator[bytes, None]) -> None:
        super().__init__(stream, headers=HEADERS)
        self._stream = stream

    async def stream_response(self, send: Send) -> None:
        """Send until the end or until the reader is gone."""
        async with aclosing(self._stream):
            await super().stream_response(send)


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """How long a stream lives and how long it stays silent, in seconds."""

    life: float
    keep_alive: float


def as_sse(event: StoredEvent) -> bytes:
    """One event on the wire; its sequence is the id to resume from."""
    data = orjson.dumps(
        {
            "sequence": event.sequence,
            "charger_id": event.charger_id,
            "kind": event.kind,
            "body": event.body,
            "observed_at": event.observed_at,
            "received_at": event.received_at,
        },
        option=orjson.OPT_UTC_Z,
    )
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.sequence, event.kind.encode(), data)


async def event_stream(
    store: EventStore, after: int, wanted: Wanted, bounds: StreamBounds
) -> AsyncGenerator[bytes, None]:
    """Everything wanted that was committed after ``after``, then whatever comes."""
    position, clock = after, asyncio.get_running_loop().time
    spoke = clock()
    yield RETRY
    try:
        async with aclosing(pulses(store, bounds)) as beats:
            async for _ in beats:
                while batch := await store.after(position, limit=BATCH):
                    position = batch[-1].sequence
                    if lines := b"".join(as_sse(event) for event in batch if wanted(event)):
                        yield lines
                        spoke = clock()
                if clock() - spoke >= bounds.keep_alive:
                    # The id alone moves a resuming reader past what it did not want.
                    yield b": keep-alive\nid: %d\n\n" % position
                    spoke = clock()
    except EngineUnavailable as error:
        _log.warning("event stream ended", why=error.message, position=position)


async def pulses(store: EventStore, bounds: StreamBounds) -> AsyncGenerator[bool, None]:
    """Beats at once, at every commit (True) and after silence (False), until the stream's life is over."""
    loop = asyncio.get_running_loop()
    end = loop.time() + bounds.life
    async with store.changes() as wakes:
        # A cancelled __anext__ would finish the iterator, so one waits in a task across beats.
        waiting: asyncio.Future[None] = asyncio.ensure_future(anext(wakes))
        try:
            yield True
            while (left := end - loop.time()) > 0:
                await asyncio.wait({waiting}, timeout=min(left, bounds.keep_alive))
                woke = waiting.done()
                if woke:
                    waiting.result()
                    waiting = asyncio.ensure_future(anext(wakes))
                yield woke
        except StopAsyncIteration:
            return
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
