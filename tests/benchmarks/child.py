"""Processes of a bench: each takes commands as JSON lines and answers them; /proc says what it cost."""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self

import uvloop

Json = dict[str, Any]
Handler = Callable[[Json], Awaitable[Json]]

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LINE_LIMIT = 64 * 1024 * 1024


class ChildFailed(Exception):
    """A process of the bench ended or reported a failure."""


def open_files_limit() -> int:
    """Raise the limit of open files to what the machine allows; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def serve_commands(handlers: Mapping[str, Handler]) -> None:
    """The main of a child, under uvloop as the product runs: until standard input ends, then ``close``."""
    open_files_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(handlers))


async def _serve(handlers: Mapping[str, Handler]) -> None:
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        command = json.loads(line)
        answer = await handlers[command.pop("do")](command)
        print(json.dumps(answer), flush=True)
    if "close" in handlers:
        await handlers["close"]({})


class Child:
    """A started process. Use it as an async context manager."""

    def __init__(self, module: str) -> None:
        self.module = module
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"tests.benchmarks.{self.module}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise ChildFailed(f"{self.module} was not started")
        return self._process.pid

    async def ask(self, do: str, **arguments: Any) -> Json:
        """Send one command and wait for its answer."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ChildFailed(f"{self.module} was not started")
        process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise ChildFailed(f"{self.module} ended while it was asked to {do}; its error is above")
        answer: Json = json.loads(line)
        return answer

    def cpu_s(self) -> float:
        """Seconds of processor time that it has used."""
        return cpu_seconds(self.pid)

    def rss(self) -> int:
        """Bytes that it holds in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE


def _stat(pid: int) -> list[str]:
    # The second field, the name, may hold blanks and parentheses.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(pid: int) -> float:
    """User and system time of one process, seconds; 0 when it is gone."""
    try:
        fields = _stat(pid)
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def tree_cpu_seconds(root: int) -> float:
    """The same over a process and all below it."""
    return sum(cpu_seconds(pid) for pid in family(root))


def family(root: int) -> set[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
            except OSError:
                continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found
