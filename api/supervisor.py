"""Runs the roles as child processes: restarts what dies, stops all of them cleanly, leaves none behind.

The children live exactly as long as this process: they end with it even when it is killed with -9
(see ``api/embedded/guard.py``). What each one says goes to ``data_dir/logs/{role}.log``.
"""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from api.embedded.engine import Engine
from api.embedded.errors import EmbeddedError, EngineFailed, last_words
from api.embedded.process import Command, GuardedProcess
from api.embedded.waiting import until

log = logging.getLogger(__name__)

Ready = Callable[[], Awaitable[bool]]
"""Whether a role serves. An OSError means: not yet."""
OnRestart = Callable[[str, int, float], None]
"""Told of every death that was not asked for: name, exit code, seconds until the next start."""


class RoleFailed(EmbeddedError):
    """A role does not come up; the message ends with its last words."""

    def __init__(self, role: str, problem: str, log_file: Path) -> None:
        super().__init__(
            f"The {role} process {problem}. Its last words:\n{last_words(log_file)}", hint=f"See {log_file}."
        )


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How long to wait before a dead role runs again. Seconds."""

    first_delay: float = 0.2
    factor: float = 2.0
    longest_delay: float = 15.0
    calm_after: float = 30.0
    """A role that ran so long did not die of what the one before died of: the delays begin anew."""


def delay_after(policy: RestartPolicy, deaths: int) -> float:
    """Seconds to wait after so many deaths in a row (1 or more)."""
    exponent = min(max(deaths - 1, 0), 64)  # beyond, floats overflow before the limit applies
    return min(policy.longest_delay, policy.first_delay * policy.factor**exponent)


def deaths_in_a_row(policy: RestartPolicy, before: int, ran_seconds: float) -> int:
    """The count after one more death of a process that had run so long."""
    return 1 if ran_seconds >= policy.calm_after else before + 1


@dataclass(frozen=True, slots=True)
class RoleProcess:
    """One role to keep running. The environment is complete: nothing is inherited."""

    name: str
    environment: Mapping[str, str]
    argv: tuple[str, ...] = ()
    """Default: ``ampwave {name}`` with this interpreter."""
    ready: Ready | None = None
    ready_seconds: float = 60.0
    stop_seconds: float = 35.0
    """From SIGTERM to SIGKILL; above the 30 s that a worker may take to finish its activities."""

    def command(self, logs: Path) -> Command:
        """What to run."""
        return Command(
            argv=self.argv or (sys.executable, "-m", "api.cli.main", self.name),
            log=logs / f"{self.name}.log",
            env=self.environment,
            stop_seconds=self.stop_seconds,
        )


@dataclass(slots=True)
class _Kept:
    """A role, its running process, and the task that starts it again."""

    role: RoleProcess
    process: GuardedProcess
    deaths: int = 0
    restarts: int = 0
    keeper: "asyncio.Task[None] | None" = None
    last_start: float = field(default_factory=time.monotonic)


class Supervisor:
    """Keeps roles running. Use it as an async context manager; leaving it stops them all."""

    def __init__(
        self,
        data_dir: Path,
        *,
        policy: RestartPolicy | None = None,
        on_restart: OnRestart | None = None,
        deaths_before_ready: int = 3,
    ) -> None:
        self._logs = data_dir.absolute() / "logs"
        self._policy = policy or RestartPolicy()
        self._on_restart = on_restart
        self._deaths_before_ready = deaths_before_ready
        self._kept: dict[str, _Kept] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_all()

    async def start(self, role: RoleProcess) -> None:
        """Start one role, keep it running, and wait until it is ready.

        Raises:
            RoleFailed: it died several times before it was ready, or was not ready in time.
        """
        self._launch(role)
        await self.wait_ready(role.name)

    async def start_all(self, roles: Iterable[RoleProcess]) -> None:
        """Start all at once and wait until every one is ready."""
        roles = tuple(roles)
        for role in roles:
            self._launch(role)
        for role in roles:
            await self.wait_ready(role.name)

    async def wait_ready(self, name: str) -> None:
        """Wait until a role answers that it serves, as after a restart."""
        kept = self._kept[name]
        deadline = time.monotonic() + kept.role.ready_seconds
        deaths = kept.restarts
        while not await self._is_ready(kept):
            if kept.restarts - deaths >= self._deaths_before_ready:
                raise RoleFailed(name, "keeps dying before it is ready", kept.process.command.log)
            if time.monotonic() > deadline:
                problem = f"was not ready within {kept.role.ready_seconds:g} s"
                raise RoleFailed(name, problem, kept.process.command.log)
            await asyncio.sleep(0.05)

    async def stop(self, name: str) -> None:
        """SIGTERM, later SIGKILL; returns when the role is gone. It is not started again."""
        kept = self._kept.pop(name)
        kept.process.let_go()
        if kept.keeper:
            kept.keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await kept.keeper
        await kept.process.stop()

    async def stop_all(self) -> None:
        """Stop every role at the same time."""
        for kept in self._kept.values():
            kept.process.let_go()
        await asyncio.gather(*(self.stop(name) for name in list(self._kept)))

    def kill(self, name: str) -> int:
        """SIGKILL the role's process, as a crash would; it comes back. Returns the process id that died."""
        process = self._kept[name].process
        process.kill()
        return process.pid

    def pid(self, name: str) -> int | None:
        """The role's process id; None between a death and the next start."""
        process = self._kept[name].process
        return process.pid if process.exit_code is None else None

    def restarts(self, name: str) -> int:
        """How often the role was started again."""
        return self._kept[name].restarts

    @property
    def names(self) -> tuple[str, ...]:
        """The roles that are kept running."""
        return tuple(self._kept)

    async def wait_restarted(self, name: str, dead_pid: int) -> None:
        """After a death: wait until another process serves this role."""
        await until(lambda: self.pid(name) not in {None, dead_pid})
        await self.wait_ready(name)

    def _launch(self, role: RoleProcess) -> None:
        if role.name in self._kept:
            message = f"the role {role.name} runs already"
            raise ValueError(message)
        kept = _Kept(role, GuardedProcess(role.command(self._logs)))
        kept.keeper = asyncio.create_task(self._keep(kept), name=f"keep {role.name}")
        self._kept[role.name] = kept

    async def _keep(self, kept: _Kept) -> None:
        while True:
            code = await kept.process.wait()
            await self._pause_after_death(kept, code)
            while not self._start_again(kept):
                await self._pause_after_death(kept, code)

    async def _pause_after_death(self, kept: _Kept, code: int) -> None:
        kept.deaths = deaths_in_a_row(self._policy, kept.deaths, time.monotonic() - kept.last_start)
        delay = delay_after(self._policy, kept.deaths)
        log.warning("%s ended with code %d; it starts again in %.1f s", kept.role.name, code, delay)
        if self._on_restart:
            self._on_restart(kept.role.name, code, delay)
        await asyncio.sleep(delay)

    def _start_again(self, kept: _Kept) -> bool:
        """False if the machine cannot start processes now, for example for want of memory."""
        kept.last_start = time.monotonic()
        kept.restarts += 1
        try:
            kept.process = GuardedProcess(kept.process.command)
        except OSError:
            log.exception("%s could not be started again", kept.role.name)
            return False
        return True

    async def _is_ready(self, kept: _Kept) -> bool:
        if kept.process.exit_code is not None:
            return False
        if kept.role.ready is None:
            return True
        try:
            return await kept.role.ready()
        except OSError:
            return False


@contextlib.asynccontextmanager
async def engines_kept(
    engines: Iterable[Engine], *, policy: RestartPolicy | None = None, on_restart: OnRestart | None = None
) -> AsyncIterator[None]:
    """Starts embedded engines again that die while the block runs; enter it inside their own blocks."""
    rules = policy or RestartPolicy()
    keepers = [asyncio.create_task(_keep_engine(engine, rules, on_restart)) for engine in engines]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)


async def _keep_engine(engine: Engine, policy: RestartPolicy, on_restart: OnRestart | None) -> None:
    deaths = 0
    while True:
        started = time.monotonic()
        code = await engine.wait()
        deaths = deaths_in_a_row(policy, deaths, time.monotonic() - started)
        delay = delay_after(policy, deaths)
        log.warning("%s ended with code %d; it starts again in %.1f s", engine.name, code, delay)
        if on_restart:
            on_restart(engine.name, code, delay)
        await asyncio.sleep(delay)
        try:
            await engine.ensure_running()
        except EngineFailed:
            log.exception("%s could not be started again", engine.name)
