"""Which process is meant: a process id alone may belong to somebody else by now, so its start counts too."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process id and when that process started, in the system's own words."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """The identity of a process; ``started`` is empty if there is none with this id."""
        return cls(pid, _started(pid))

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs; a zombie does not."""
        return bool(self.started) and _started(self.pid) == self.started


def own_identity() -> ProcessIdentity:
    """This very process."""
    return ProcessIdentity.of(os.getpid())


def _started(pid: int) -> str:
    if Path("/proc/self/stat").exists():
        return _started_from_proc(pid)
    return _started_from_ps(pid)


def _started_from_proc(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name in parentheses may hold anything
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _started_from_ps(pid: int) -> str:
    state, _, started = _ps("stat=,lstart=", pid).partition(" ")
    return "" if state.startswith("Z") else started.strip()


def _ps(columns: str, pid: int) -> str:
    answer = subprocess.run(  # noqa: S603  # a fixed command and a number
        ["/bin/ps", "-ww", "-o", columns, "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()


def works_in(pid: int, folder: Path) -> bool:
    """Whether a process has this working directory; without ``/proc``: whether its command names it."""
    if not Path("/proc/self").exists():
        return str(folder) in _ps("command=", pid)
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
    except OSError:
        return False
