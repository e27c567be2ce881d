"""LISTEN and NOTIFY as something to iterate over.

A notification only says "look again": everything is read from tables. So a lost one costs a delay
of at most ``fallback_s``, never an event.
"""

import asyncio
import contextlib
from collections import defaultdict
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
    """One listening connection per process, open only while somebody waits; reopened when it breaks."""

    def __init__(self, engine: AsyncEngine, *, fallback_s: float = 2.0) -> None:
        self._dsn = driver_dsn(engine.url.render_as_string(hide_password=False))
        self._fallback_s = fallback_s
        self._pulses: defaultdict[str, set[Pulse]] = defaultdict(set)
        self._listening: set[str] = set()
        self._connection: Any = None
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Pulse]:
        """Beats of one channel."""
        pulse = Pulse(self._fallback_s)
        self._pulses[channel].add(pulse)
        if self._task is None:
            self._task = asyncio.create_task(self._keep_listening(), name="notifications")
        elif self._connection is not None:
            await self._listen(self._connection, channel)
        try:
            yield pulse
        finally:
            self._pulses[channel].discard(pulse)
            if not any(self._pulses.values()):
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
            self._listening.clear()
            self._connection = connection
            for channel in list(self._pulses):
                await self._listen(connection, channel)
            # Whatever was announced while nobody listened: everybody looks again.
            self._beat_all()
            await broken.wait()
        finally:
            self._connection = None
            connection.terminate()

    async def _listen(self, connection: Any, channel: str) -> None:
        if channel in self._listening:
            return
        self._listening.add(channel)
        await connection.add_listener(channel, self._heard)

    def _heard(self, _connection: object, _pid: int, channel: str, _payload: str) -> None:
        for pulse in self._pulses[channel]:
            pulse.beat()

    def _beat_all(self) -> None:
        for pulses in self._pulses.values():
            for pulse in pulses:
                pulse.beat()
