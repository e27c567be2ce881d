"""A seat that one process at a time holds: a session's advisory lock, gone with its connection.

It keeps a second signer waiting. Nothing depends on it for correctness: publications are conditional
writes and jobs are idempotent, so two at once would only lose time.
"""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import asyncpg

from storage.errors import EngineUnavailable
from storage.postgres.engine import CONNECT_TIMEOUT_S, driver_dsn

_LOOK_S = 2.0
_BEAT_S = 3.0
_ANSWER_S = 5.0

# A machine that vanishes without a word frees its seat after half a minute, not after two hours.
_KEEPALIVE = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_HOLDER = """
SELECT activity.application_name, activity.backend_start
FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
  AND (classid::bigint << 32) | objid::bigint = $1::bigint
"""


_NAME = "ampwave seat "
SPACE = 0x0C00
"""The upper 16 bits of these locks; 0x0A00 and 0x0B00 are the ingest's and the partitions'."""


def seat_key(name: str) -> int:
    """A lock of our own space: in the ingest's it would hold back every reader of events."""
    return (SPACE << 48) | int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


class HeldSeat:
    """Held until it is left, or until its connection breaks: then ``lost`` is set."""

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        self._connection = connection
        self.lost = asyncio.Event()
        connection.add_termination_listener(lambda _: self.lost.set())
        self._beat = asyncio.create_task(self._beating())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beat.cancel()
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            await self._connection.close(timeout=_ANSWER_S)

    async def _beating(self) -> None:
        """A connection that hangs is noticed, too."""
        while not self.lost.is_set():
            await asyncio.sleep(_BEAT_S)
            try:
                await self._connection.fetchval("SELECT 1")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                self.lost.set()


class PostgresSeat:
    """The seat of this name in this database."""

    def __init__(self, database_url: str, name: str, host: str = "") -> None:
        """``host``: this machine's name, by which others see who has the seat."""
        self._url = database_url
        self._host = f"{_NAME}{host}"[:63]
        self.key = seat_key(name)

    async def take(self, taken: Callable[[str], None]) -> HeldSeat:
        """Wait until it is free. ``taken`` is told once who has it. Raises EngineUnavailable."""
        connection = await self._connect(self._host)
        try:
            await self._wait(connection, taken)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            connection.terminate()
            raise EngineUnavailable(f"PostgreSQL went away: {type(error).__name__}.") from error
        except BaseException:
            connection.terminate()
            raise
        return HeldSeat(connection)

    async def holder(self) -> str | None:
        """The machine that has it, or None. Raises EngineUnavailable."""
        connection = await self._connect("ampwave probe")
        try:
            row = await connection.fetchrow(_HOLDER, self.key)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise EngineUnavailable(f"PostgreSQL went away: {type(error).__name__}.") from error
        finally:
            connection.terminate()
        return _machine(row) if row else None

    async def _connect(self, application_name: str) -> "asyncpg.Connection[Any]":
        try:
            return await asyncpg.connect(
                driver_dsn(self._url),
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=_ANSWER_S,
                server_settings={"application_name": application_name, **_KEEPALIVE},
            )
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            raise EngineUnavailable(f"PostgreSQL does not answer: {type(error).__name__}.") from error

    async def _wait(self, connection: "asyncpg.Connection[Any]", taken: Callable[[str], None]) -> None:
        said = False
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", self.key):
            if not said:
                row = await connection.fetchrow(_HOLDER, self.key)
                taken(f"{_machine(row)}, since {row[1]:%Y-%m-%d %H:%M:%S}Z" if row else "somebody")
                said = True
            await asyncio.sleep(_LOOK_S)


def _machine(row: "asyncpg.Record") -> str:
    return str(row[0]).removeprefix(_NAME) or "an unnamed machine"
