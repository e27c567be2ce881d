"""The supervisor, with tiny programs in place of roles."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.embedded.identity import ProcessIdentity
from api.embedded.waiting import until
from api.supervisor import (
    RestartPolicy,
    RoleFailed,
    RoleProcess,
    Supervisor,
    deaths_in_a_row,
    delay_after,
)

EAGER = RestartPolicy(first_delay=0.01, longest_delay=0.05)
WAITS = "import signal; signal.pause()"
STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True: signal.pause()
"""
ORDERLY = """
import signal, sys
def leave(*_): print("left in order", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("serving", flush=True)
while True: signal.pause()
"""


def role(name: str, program: str, **options: object) -> RoleProcess:
    return RoleProcess(name, {"PATH": os.defpath}, (sys.executable, "-c", program), **options)  # type: ignore[arg-type]


def says(data_dir: Path, name: str, words: str) -> bool:
    log = data_dir / "logs" / f"{name}.log"
    return log.exists() and words in log.read_text()


@given(st.integers(min_value=1, max_value=10_000))
def test_delays_grow_and_never_pass_the_limit(deaths: int) -> None:
    policy = RestartPolicy(first_delay=0.2, factor=2, longest_delay=15)
    assert 0.2 <= delay_after(policy, deaths) <= delay_after(policy, deaths + 1) <= 15


def test_first_delays_are_short() -> None:
    assert [delay_after(RestartPolicy(), deaths) for deaths in (1, 2, 3)] == [0.2, 0.4, 0.8]


@pytest.mark.parametrize(("ran", "count"), [(0.1, 5), (29.9, 5), (30.0, 1), (3600.0, 1)])
def test_a_role_that_ran_long_begins_anew(ran: float, count: int) -> None:
    assert deaths_in_a_row(RestartPolicy(calm_after=30), 4, ran) == count


async def test_a_dead_role_comes_back_and_is_reported(tmp_path: Path) -> None:
    deaths: list[tuple[str, int]] = []
    async with Supervisor(
        tmp_path, policy=EAGER, on_restart=lambda name, code, _: deaths.append((name, code))
    ) as supervisor:
        await supervisor.start(role("worker", WAITS))
        dead = supervisor.kill("worker")
        await supervisor.wait_restarted("worker", dead)
        assert supervisor.pid("worker") not in {None, dead}
        assert supervisor.restarts("worker") == 1
    assert deaths == [("worker", 128 + signal.SIGKILL)]


async def test_leaving_stops_every_role_in_order(tmp_path: Path) -> None:
    async with Supervisor(tmp_path, policy=EAGER) as supervisor:
        await supervisor.start_all([role("api", ORDERLY), role("csms", ORDERLY)])
        await until(lambda: says(tmp_path, "api", "serving") and says(tmp_path, "csms", "serving"))
        running = [ProcessIdentity.of(supervisor.pid(name) or 0) for name in supervisor.names]
        assert all(process.alive for process in running)
    assert not any(process.alive for process in running)
    assert says(tmp_path, "api", "left in order")
    assert says(tmp_path, "csms", "left in order")


async def test_a_role_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    async with Supervisor(tmp_path, policy=EAGER) as supervisor:
        await supervisor.start(role("deaf", STUBBORN, stop_seconds=0.1))
        await until(lambda: says(tmp_path, "deaf", "deaf"))
        process = ProcessIdentity.of(supervisor.pid("deaf") or 0)
        await supervisor.stop("deaf")
        assert not process.alive
        assert supervisor.names == ()


async def test_start_waits_until_the_role_answers(tmp_path: Path) -> None:
    async def serving() -> bool:
        return says(tmp_path, "api", "serving")

    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(role("api", ORDERLY, ready=serving))
        assert says(tmp_path, "api", "serving")


async def test_a_refused_connection_means_not_yet(tmp_path: Path) -> None:
    asked = 0

    async def ready() -> bool:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise ConnectionRefusedError
        return True

    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(role("api", WAITS, ready=ready))
    assert asked == 3


async def test_a_role_that_keeps_dying_fails_with_its_last_words(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(tmp_path, policy=EAGER) as supervisor:
        with pytest.raises(RoleFailed, match="no such table: charger") as failure:
            await supervisor.start(
                role("worker", "import sys; sys.exit('no such table: charger')", ready=never)
            )
    assert "worker.log" in failure.value.hint


async def test_a_role_that_is_never_ready_fails_in_time(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(RoleFailed, match=r"was not ready within 0\.2 s"):
            await supervisor.start(role("worker", WAITS, ready=never, ready_seconds=0.2))


async def test_one_role_runs_once(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(role("api", WAITS))
        with pytest.raises(ValueError, match="api runs already"):
            await supervisor.start(role("api", WAITS))


OWNER = """
import asyncio, os, sys
from pathlib import Path
from api.supervisor import RoleProcess, Supervisor

async def main():
    async with Supervisor(Path(sys.argv[1])) as supervisor:
        for name in ("api", "worker"):
            program = "import signal; signal.pause()"
            await supervisor.start(RoleProcess(name, {"PATH": os.defpath}, (sys.executable, "-c", program)))
        print(*(supervisor.pid(name) for name in supervisor.names), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
async def test_no_role_outlives_the_supervisor(tmp_path: Path, ending: signal.Signals) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    line = await owner.stdout.readline()
    roles = [ProcessIdentity.of(int(pid)) for pid in line.split()]
    assert len(roles) == 2
    assert all(process.alive for process in roles)
    owner.send_signal(ending)
    await owner.wait()
    assert await until(lambda: not any(process.alive for process in roles), 30)
