"""LISTEN and NOTIFY as something to iterate over.

A notification only says "look again": everything is read from tables. So a lost one costs a delay
of at most ``fallback_s``, never an event.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.postgres.engine import CONNECT_TIMEOUT_S, driver_dsn

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0


class Pulse:
    """Yields at once, then whenever it is set, and at the latest every ``fallback_s`` seconds.

    Being cancelled while it waits does no harm: the next wait still sees what came in between.
    """

    def __init__(self, fallback_s: float) -> None:
        self._fallback_s = fallback_s
        self._event = asyncio.Event()
        self._event.set()

    def beat(self) -> None:
        """Wake the reader; several beats before it looks are one."""
        self._event.set()

    def __aiter__(self) -> "Pulse":
        return self

    async def __anext__(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._fallback_s):
                await self._event.wait()
        self._event.clear()


class Notifications:
    """All readers of one channel in this process share one connection, open only while somebody reads."""

    def __init__(self, engine: AsyncEngine, channel: str, *, fallback_s: float = 2.0) -> None:
        self._dsn = driver_dsn(engine.url.render_as_string(hide_password=False))
        self._channel = channel
        self._fallback_s = fallback_s
        self._pulses: set[Pulse] = set()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Pulse]:
        """A pulse of one's own."""
        pulse = Pulse(self._fallback_s)
        self._pulses.add(pulse)
        if self._task is None:
            self._task = asyncio.create_task(self._keep_listening(), name=f"listen {self._channel}")
        try:
            yield pulse
        finally:
            self._pulses.discard(pulse)
            if not self._pulses:
                await self._stop()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _keep_listening(self) -> None:
        backoff = FIRST_BACKOFF_S
        while True:
            try:
                await self._listen_once()
                backoff = FIRST_BACKOFF_S
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                # The readers go on by polling meanwhile.
                backoff = min(backoff * 2, LONGEST_BACKOFF_S)
            await asyncio.sleep(backoff)

    async def _listen_once(self) -> None:
        """Listen until the connection breaks."""
        connection: Any = await asyncpg.connect(self._dsn, timeout=CONNECT_TIMEOUT_S)
        broken = asyncio.Event()
        connection.add_termination_listener(lambda _: broken.set())
        try:
            await connection.add_listener(self._channel, lambda *_: self._beat())
            # Whatever was announced while nobody listened: everybody looks again.
            self._beat()
            await broken.wait()
        finally:
            connection.terminate()

    def _beat(self) -> None:
        for pulse in self._pulses:
            pulse.beat()
