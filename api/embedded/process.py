"""A command on this machine that cannot outlive us: the owner's side of ``guard.py``."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from api.embedded.identity import ProcessIdentity
from api.embedded.waiting import until

GUARD = Path(__file__).with_name("guard.py")
LOG_LIMIT = 20 * 1024 * 1024
"""Bytes; a longer log is set aside when its process starts again."""


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user that a command runs as when we are root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. The environment is complete: nothing is inherited."""

    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str]
    cwd: Path | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20.0
    """After the stop signal; then SIGKILL."""


class GuardedProcess:
    """One running command and its guard."""

    def __init__(self, command: Command) -> None:
        """Start it. Returns as soon as its process id is known; whether it works is for others to ask."""
        self.command = command
        self._guard = _start_guard(command)
        self.pid = self._read_pid()
        self.identity = ProcessIdentity.of(self.pid)
        self.guard_identity = ProcessIdentity.of(self._guard.pid)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 128 + n if signal n ended it."""
        return self._guard.poll()

    async def wait(self) -> int:
        """Until it has ended, for whatever reason."""
        await until(lambda: self._guard.poll() is not None)
        return self._guard.wait()

    async def stop(self) -> None:
        """Ask it to stop, then make it; returns when it is gone. The asking is done even if cancelled."""
        self.let_go()
        if not await until(lambda: self._guard.poll() is not None, self.command.stop_seconds + 5):
            self.kill()
        await self.wait()

    def let_go(self) -> None:
        """Ask it to stop and do not wait."""
        if self._guard.stdin and not self._guard.stdin.closed:
            with contextlib.suppress(OSError):
                self._guard.stdin.close()

    def kill(self) -> None:
        """SIGKILL, at once: what a crash looks like."""
        if self._guard.poll() is None and self.identity.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _read_pid(self) -> int:
        assert self._guard.stdout is not None  # noqa: S101  # Popen was given PIPE
        with self._guard.stdout as line:
            ready, _, _ = select.select([line], [], [], 20.0)
            text = line.readline() if ready else b""
        if not text.strip().isdigit():
            self._guard.kill()
            self._guard.wait()
            message = f"{self.command.argv[0]} could not be started; see {self.command.log}"
            raise OSError(message)
        return int(text)


def _start_guard(command: Command) -> "subprocess.Popen[bytes]":
    spec: dict[str, object] = {
        "command": command.argv,
        "stop_signal": int(command.stop_signal),
        "stop_seconds": command.stop_seconds,
    }
    if command.cwd:
        spec["cwd"] = str(command.cwd)
    if command.account:
        spec |= {"uid": command.account.uid, "gid": command.account.gid}
    with _open_log(command.log) as log:
        return subprocess.Popen(  # noqa: S603  # our own launcher
            [sys.executable, "-I", "-S", str(GUARD), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(command.env),
            start_new_session=True,
        )


def _open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(path.suffix + ".1"))
    return open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")  # noqa: PTH123  # the mode
