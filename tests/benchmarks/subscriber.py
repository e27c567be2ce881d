"""A reader of the event stream in a process of its own: the generator behind ``GET /api/v1/events``."""

import asyncio

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from api.sse import StreamBounds, event_stream
from storage.clock import system_clock
from storage.codec import decode
from storage.postgres.engine import create_engine
from storage.postgres.events import PostgresEventStore
from tests.benchmarks.child import Json, serve_commands
from tests.benchmarks.fleet import name_of


class Subscriber:
    """Notes how old the probes' events are when they come out of the stream."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._came = asyncio.Event()
        self._engine: AsyncEngine | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, given: Json) -> Json:
        """Read on from now; events of chargers from ``first`` on are the probes."""
        self._engine = create_engine(given["database"])
        store = PostgresEventStore(self._engine)
        after = await store.latest_sequence()
        self._task = asyncio.create_task(self._read(store, after, name_of(given["first"])))
        return {}

    async def _read(self, store: PostgresEventStore, after: int, first: str) -> None:
        wanted = event_stream(
            store, after, lambda event: event.charger_id >= first, StreamBounds(life=600.0, keep_alive=15.0)
        )
        async for chunk in wanted:
            now = system_clock()
            for line in chunk.split(b"\n"):
                if line.startswith(b"data: "):
                    event = orjson.loads(line.removeprefix(b"data: "))
                    if event["kind"] == "connector_status_changed":
                        sent = decode(type(now), event["observed_at"])
                        self._seconds.append((now - sent).total_seconds())
                        self._came.set()

    async def close(self, _: Json) -> Json:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._engine is not None:
            await self._engine.dispose()
        return {}

    async def seen(self, given: Json) -> Json:
        """All delays, once there are so many."""
        async with asyncio.timeout(60):
            while len(self._seconds) < given["count"]:
                self._came.clear()
                await self._came.wait()
        return {"seconds": self._seconds}


if __name__ == "__main__":
    subscriber = Subscriber()
    serve_commands({"start": subscriber.start, "seen": subscriber.seen, "close": subscriber.close})
