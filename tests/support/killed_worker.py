"""Workers that get a real kill -9 at each named step, once, and a new one after each.

Run: `python -m tests.support.killed_worker QUEUE FOLDER`, with all settings in the environment. A file in
FOLDER names each step that killed one. The parent imports and forks, and starts nothing itself.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.worker import Worker

from api import bootstrap
from api.settings import Settings
from storage.postgres.provisioning import PostgresProvisioningStore
from storage.postgres.retirement import PostgresRetirementStore
from storage.provisioning import EnrolmentState
from storage.retirement import Step

BY_SIGNER = frozenset({Step.CAMPAIGNS, Step.REVOKE, Step.CUSTOMERS})
"""Of the steps: what another process does, or what is written with its neighbour."""
_UNMOVED = (EnrolmentState.REGISTERED, EnrolmentState.CLAIMED, EnrolmentState.EXPIRED)
MOVES = tuple(state for state in EnrolmentState if state not in _UNMOVED)
STEPS = tuple(step for step in Step if step not in BY_SIGNER)
AFTER = tuple(f"after-{each.value}" for each in (*MOVES, *STEPS))
BEFORE = (f"before-{EnrolmentState.ACTIVE.value}", f"before-{Step.BURY.value}")
"""Nothing was written yet."""
MARKS = frozenset({*AFTER, *BEFORE})


def deadly(folder: Path, store: type, name: str, named: Callable[[Any], str]) -> None:
    """Have this method of a store be the last thing that a process does, once for each of its marks."""
    real = getattr(store, name)

    def at(mark: str) -> None:
        if mark in MARKS and not (folder / mark).exists():
            (folder / mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    async def dying(self: Any, *args: Any) -> Any:
        at(f"before-{named(args[-1])}")
        done = await real(self, *args)
        at(f"after-{named(args[-1])}")
        return done

    setattr(store, name, dying)


async def serve(queue: str, folder: Path) -> None:
    """A worker as every other, on a queue of its own; who waits for a killed one does not wait long."""
    deadly(folder, PostgresProvisioningStore, "advance", lambda given: str(given.state.value))
    deadly(folder, PostgresRetirementStore, "note", lambda record: str(record.step.value))
    deadly(folder, PostgresRetirementStore, "bury", lambda _: Step.BURY.value)

    def worker(client: Any, **given: Any) -> Worker:
        own = {"task_queue": queue, "sticky_queue_schedule_to_start_timeout": timedelta(seconds=0.5)}
        return Worker(client, **{**given, **own})

    bootstrap.Worker = worker  # type: ignore[assignment,misc]  # what the node and the signer do stays theirs
    settings = Settings(_env_file=None)
    async with bootstrap.open_stores(settings) as stores:
        client = await bootstrap.connect_temporal(settings)
        async with bootstrap.shared_worker(settings, stores, client):
            await asyncio.Event().wait()


def main(queue: str, folder: Path) -> None:
    """Fork until somebody ends the whole group."""
    while True:
        child = os.fork()
        if child == 0:
            asyncio.run(serve(queue, folder))
            os._exit(1)
        _, status = os.waitpid(child, 0)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            sys.exit(f"a worker ended otherwise: {status}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
