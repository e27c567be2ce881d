"""The memory and processor time of processes, looked at again and again."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.child import family, tree_cpu_seconds

EVERY_S = 5.0
LOOKS_SHARE = 0.01
"""Of a processor, that looking takes at the most: it walks all pages of all processes."""
MIB = 2**20
SMALL = 64 * MIB
"""Below it nobody asks how fast a process grows."""
_MARKS = ("start", "1/4", "1/2", "3/4", "end", "peak")
Pid = Callable[[], int | None]


@dataclass
class Memory:
    """Proportional set size of each process with all below it, bytes, in the order of the looks."""

    seen: dict[str, list[int]] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    """Seconds of processor time that each took."""

    def most(self) -> int:
        """Of all together at one time."""
        return max(map(sum, zip(*self.seen.values(), strict=False)), default=0)

    def worst_growth(self) -> float:
        """The largest factor between the peaks of the middle and of the last third of the run."""
        return max((_growth(looks) for looks in self.seen.values()), default=1.0)

    def words(self) -> str:
        """The largest ones, at their peak."""
        peaks = sorted(((max(looks), name) for name, looks in self.seen.items()), reverse=True)
        return ", ".join(f"{name} {peak / MIB:,.0f}" for peak, name in peaks[:4])

    def lines(self, chargers: int) -> list[str]:
        """A table: MiB at the start, at each quarter, at the peak; processor milliseconds per charger."""
        found = [
            f"{'process':<12} {'start':>7} {'1/4':>7} {'1/2':>7} {'3/4':>7} {'end':>7} {'peak':>7} ms/charger"
        ]
        for name, looks in self.seen.items():
            marks = [looks[min(len(looks) - 1, len(looks) * part // 4)] for part in range(5)]
            cells = " ".join(f"{each / MIB:7,.0f}" for each in [*marks, max(looks)])
            found.append(f"{name:<12} {cells} {self.cpu_s.get(name, 0.0) * 1000 / chargers:10.1f}")
        return found


def _growth(looks: list[int]) -> float:
    third = len(looks) // 3
    if third < 3:
        return math.inf  # Too few to say that it does not grow.
    return max(looks[2 * third :]) / max(*looks[third : 2 * third], SMALL)


@asynccontextmanager
async def watch_memory(processes: Mapping[str, Pid], into: Memory) -> AsyncIterator[None]:
    """Look at them while the block runs."""
    before = _cpu(processes)
    watching = asyncio.create_task(_watch(processes, into))
    try:
        yield
    finally:
        watching.cancel()
        into.cpu_s |= {name: used - before[name] for name, used in _cpu(processes).items()}


async def _watch(processes: Mapping[str, Pid], into: Memory) -> None:
    while True:
        took_s = 0.0
        for name, pid in processes.items():
            memory, cpu_s = await asyncio.to_thread(_looked, pid())
            into.seen.setdefault(name, []).append(memory)
            took_s += cpu_s
        await asyncio.sleep(max(EVERY_S, took_s / LOOKS_SHARE))


def _looked(pid: int | None) -> tuple[int, float]:
    """The memory, and what it took to look."""
    before = time.thread_time()
    return _memory(pid), time.thread_time() - before


def _cpu(processes: Mapping[str, Pid]) -> dict[str, float]:
    return {name: tree_cpu_seconds(pid) if (pid := of()) else 0.0 for name, of in processes.items()}


def _memory(pid: int | None) -> int:
    """Of a process and all below it; shared pages are counted once, as parts (PostgreSQL has many)."""
    if pid is None:
        return 0
    return sum(_pss(one) for one in family(pid))


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
