"""One owner per engine folder, and what a former owner left there.

The claim is an advisory lock, which the system releases however its holder ends. Beside it lies a
record of the processes that were started, so that the next owner can wait for those that are still
on their way out and remove those that nobody watches any more.
"""

import contextlib
import fcntl
import json
import os
import signal
from pathlib import Path

from api.embedded.errors import EngineAlreadyRunning
from api.embedded.identity import ProcessIdentity, own_identity
from api.embedded.secrets_file import write_private
from api.embedded.waiting import until


class Claim:
    """The right to run one engine in ``folder``."""

    def __init__(self, engine: str, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._record = folder / "processes.json"
        self._lock: int | None = None

    def take(self) -> None:
        """Take the lock, or raise EngineAlreadyRunning naming who has it."""
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            owner = self._read().get("owner")
            raise EngineAlreadyRunning(self._engine, self._folder, owner.pid if owner else None) from None
        self._lock = lock

    def release(self) -> None:
        """Give the folder back; does nothing without a claim."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, guard: ProcessIdentity, engine: ProcessIdentity) -> None:
        """Record what runs now. Only the holder writes, in one step."""
        people = {"owner": own_identity(), "guard": guard, "engine": engine}
        write_private(self._record, json.dumps({who: [i.pid, i.started] for who, i in people.items()}))

    def forget(self) -> None:
        """Nothing runs any more."""
        self._record.unlink(missing_ok=True)

    async def remove_leftovers(self, patience_s: float) -> bool:
        """Wait for a former owner's processes to stop, then make them. True if there were any."""
        former = [i for who, i in self._read().items() if who != "owner" and i.alive]
        if former:
            await gone(former, patience_s)
            for process in former:
                kill(process)
            await gone(former, 5.0)
        self.forget()
        return bool(former)

    def _read(self) -> dict[str, ProcessIdentity]:
        try:
            rows = json.loads(self._record.read_text())
            return {who: ProcessIdentity(int(pid), str(started)) for who, (pid, started) in rows.items()}
        except (OSError, ValueError, TypeError, AttributeError):  # missing, cut short, or not ours
            return {}


def kill(process: ProcessIdentity) -> None:
    """SIGKILL exactly this process, if it still runs."""
    if process.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


async def gone(processes: list[ProcessIdentity], limit_s: float) -> bool:
    """Wait until none of them runs any more; False if the limit passed first."""
    return await until(lambda: not any(process.alive for process in processes), limit_s, pause_s=0.05)
