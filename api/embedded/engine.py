"""What every embedded engine has in common: one folder, one owner, one guarded process, a health check."""

import asyncio
import logging
import os
import secrets
import socket
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from api.embedded.claim import Claim
from api.embedded.errors import EngineFailed, PortTaken
from api.embedded.process import Command, GuardedProcess

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
ATTEMPTS = 4
PORT_PATIENCE = 3.0
"""Seconds that a port may stay taken after its last holder was killed."""


class Engine(ABC):
    """An engine under ``data_dir/{folder}``, on loopback. Use it as an async context manager.

    A port of 0 means a free one. The ports chosen at the first start are kept over ``restart``.
    """

    name: ClassVar[str]
    folder: ClassVar[str]
    port_setting: ClassVar[str]

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.home = data_dir.absolute() / self.folder
        self.log = data_dir.absolute() / "logs" / f"{self.folder}.log"
        self._wanted_port = port
        self.port = port
        self._process: GuardedProcess | None = None
        self._claim = Claim(self.name, self.home)
        self._restarting = asyncio.Lock()

    @abstractmethod
    async def _prepare(self) -> None:
        """Create what the first start needs. Called with the claim held and nothing running."""

    @abstractmethod
    def _command(self) -> Command:
        """The command for the ports that are chosen now."""

    @abstractmethod
    async def _probe(self) -> bool:
        """Whether it serves. An OSError means: not yet."""

    def _choose_ports(self) -> None:
        self.port = self._wanted_port or free_ports(1)[0]

    def _tidy(self) -> None:  # noqa: B027  # most engines leave nothing
        """Remove what the engine leaves outside its folder when it ends."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The engine's process id while it runs."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether its process runs; says nothing about its health."""
        return self._process is not None and self._process.exit_code is None

    async def start(self) -> None:
        """Claim the folder, remove what an old run left, start, and wait until it serves.

        Raises:
            EngineMissing: its wheel is not installed.
            EngineAlreadyRunning: somebody else runs one on this folder.
            EngineFailed: it died or did not answer in time.
        """
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._claim.take()
        try:
            if await self._claim.remove_leftovers(patience_s=10.0):
                log.info("removed what an earlier run of %s left behind", self.name)
            await self._prepare()
            await self._launch(choose_ports=True)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop it cleanly and give the folder back; does nothing when it does not run."""
        if self._process:
            await self._process.stop()
            self._process = None
            self._claim.forget()
            self._tidy()
        self._claim.release()

    def kill(self) -> None:
        """SIGKILL: what a crash looks like. ``restart`` brings it back."""
        if self._process:
            self._process.kill()

    async def restart(self) -> None:
        """Stop it if it still runs; start it on the same ports and data."""
        async with self._restarting:
            await self._again()

    async def ensure_running(self) -> None:
        """Start it again on the same ports and data if it has died."""
        async with self._restarting:
            if not self.running:
                await self._again()

    async def wait(self) -> int:
        """Until its process ends, for whatever reason; the exit code. Only after ``start``."""
        assert self._process is not None  # noqa: S101  # the caller's promise
        return await self._process.wait()

    async def _again(self) -> None:
        if self._process:
            await self._process.stop()
            self._tidy()
        await self._launch(choose_ports=False)

    async def _launch(self, *, choose_ports: bool) -> None:
        """Start and wait. A free port can be taken in between and a lock can linger: try again."""
        for attempt in range(1, ATTEMPTS + 1):
            if choose_ports:
                self._choose_ports()
            try:
                await self._launch_once()
                return
            except EngineFailed as failure:
                if attempt == ATTEMPTS or self.running or isinstance(failure, PortTaken):
                    raise
                await asyncio.sleep(0.2 * attempt)

    async def _launch_once(self) -> None:
        await self._wait_for_port()
        self._process = GuardedProcess(self._command())
        self._claim.write(self._process.guard_identity, self._process.identity)
        deadline = time.monotonic() + START_SECONDS
        while not await self._answers():
            if not self.running:
                raise EngineFailed(self.name, "stopped while starting", self.log)
            if time.monotonic() > deadline:
                raise EngineFailed(self.name, f"did not answer within {START_SECONDS:g} s", self.log)
            await asyncio.sleep(0.03)

    async def _answers(self) -> bool:
        try:
            return await self._probe()
        except OSError:
            return False

    async def _wait_for_port(self) -> None:
        """A killed predecessor may hold the port for a moment; a stranger holds it for good."""
        deadline = time.monotonic() + PORT_PATIENCE
        while not port_is_free(self.port):
            if time.monotonic() > deadline:
                raise PortTaken(self.name, self.port, self.port_setting)
            await asyncio.sleep(0.05)


def port_is_free(port: int) -> bool:
    """Whether we could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """So many different free loopback ports.

    Below those that the system hands to outgoing connections: a client that keeps trying to
    reconnect to a stopped engine could otherwise be given that very port and connect to itself.
    """
    found: set[int] = set()
    while len(found) < count:
        port = 20_000 + secrets.randbelow(12_000)
        if port not in found and port_is_free(port):
            found.add(port)
    return list(found)


def bare_environment(home: Path) -> dict[str, str]:
    """Nothing of ours leaks into an engine: no proxies, no cloud credentials, no foreign settings."""
    return {"PATH": os.defpath, "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}
