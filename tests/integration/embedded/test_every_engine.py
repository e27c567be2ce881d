"""What each embedded engine promises alike: one owner, no orphan, data and port kept."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from temporalio.client import Client

from api.embedded import EmbeddedPostgres, EmbeddedS3, EmbeddedTemporal
from api.embedded.engine import LOOPBACK, Engine, free_ports
from api.embedded.errors import EngineAlreadyRunning, PortTaken
from api.embedded.identity import ProcessIdentity
from api.embedded.waiting import until
from api.supervisor import engines_kept

pytestmark = pytest.mark.integration


async def write_row(engine: Engine) -> None:
    assert isinstance(engine, EmbeddedPostgres)
    connection = await asyncpg.connect(engine.url)
    await connection.execute("CREATE TABLE kept (word text)")
    await connection.execute("INSERT INTO kept VALUES ('kept')")
    await connection.close()


async def read_row(engine: Engine) -> str:
    assert isinstance(engine, EmbeddedPostgres)
    connection = await asyncpg.connect(engine.url)
    word = await connection.fetchval("SELECT word FROM kept")
    await connection.close()
    return str(word)


async def write_object(engine: Engine) -> None:
    assert isinstance(engine, EmbeddedS3)
    await asyncio.to_thread(engine.client().put_object, Bucket=engine.bucket, Key="k", Body=b"kept")


async def read_object(engine: Engine) -> str:
    assert isinstance(engine, EmbeddedS3)
    answer = await asyncio.to_thread(engine.client().get_object, Bucket=engine.bucket, Key="k")
    return str(answer["Body"].read().decode())


async def write_workflow(engine: Engine) -> None:
    assert isinstance(engine, EmbeddedTemporal)
    client = await Client.connect(engine.address, namespace=engine.namespace)
    await client.start_workflow("Waits", id="w", task_queue="nobody-polls", memo={"word": "kept"})


async def read_workflow(engine: Engine) -> str:
    assert isinstance(engine, EmbeddedTemporal)
    client = await Client.connect(engine.address, namespace=engine.namespace)
    description = await client.get_workflow_handle("w").describe()
    return str(await description.memo_value("word"))


@dataclass(frozen=True)
class Case:
    kind: type[Engine]
    write: Callable[[Engine], Awaitable[None]]
    read: Callable[[Engine], Awaitable[str]]


CASES = {
    "postgres": Case(EmbeddedPostgres, write_row, read_row),
    "s3": Case(EmbeddedS3, write_object, read_object),
    "temporal": Case(EmbeddedTemporal, write_workflow, read_workflow),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


async def test_a_crash_and_a_new_start_lose_nothing(case: Case, tmp_path: Path) -> None:
    async with case.kind(tmp_path) as engine:
        await case.write(engine)
        crashed, port = ProcessIdentity.of(engine.pid or 0), engine.port
        engine.kill()
        await engine.restart()
        assert not crashed.alive
        assert engine.port == port
        assert await case.read(engine) == "kept"
        stopped = ProcessIdentity.of(engine.pid or 0)
    assert not stopped.alive
    assert engine.pid is None
    async with case.kind(tmp_path) as engine:
        assert await case.read(engine) == "kept"


OWNER = """
import asyncio, sys
from pathlib import Path
import api.embedded

async def main():
    async with getattr(api.embedded, sys.argv[1])(Path(sys.argv[2])) as engine:
        print(engine.pid, engine._process.guard_identity.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def start_owner(
    kind: type[Engine], folder: Path
) -> tuple[asyncio.subprocess.Process, ProcessIdentity, ProcessIdentity]:
    """Another process that runs an engine: itself, the engine, the engine's guard."""
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, kind.__name__, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    engine, guard = (await owner.stdout.readline()).split()
    return owner, ProcessIdentity.of(int(engine)), ProcessIdentity.of(int(guard))


async def test_no_engine_outlives_its_owner(case: Case, tmp_path: Path) -> None:
    owner, engine, guard = await start_owner(case.kind, tmp_path)
    assert engine.alive
    owner.kill()
    await owner.wait()
    async with case.kind(tmp_path) as successor:  # at once: it waits for the other to be gone
        assert successor.running
        assert not engine.alive
        assert not guard.alive


async def test_ctrl_c_stops_the_engine(tmp_path: Path) -> None:
    owner, engine, _ = await start_owner(EmbeddedPostgres, tmp_path)
    owner.send_signal(signal.SIGINT)
    await owner.wait()
    assert not engine.alive


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start removes the engine")
async def test_an_engine_dies_with_its_guard(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path, durable=False) as engine:
        process = engine._process
        assert process is not None
        os.kill(process.guard_identity.pid, signal.SIGKILL)
        assert await until(lambda: not process.identity.alive, 10)


async def test_a_taken_port_is_named_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.embedded.engine.PORT_PATIENCE", 0.1)
    with socket.create_server((LOOPBACK, free_ports(1)[0])) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(PortTaken, match=f"cannot use port {port}") as failure:
            await EmbeddedTemporal(tmp_path, port).start()
    assert "AMPWAVE_TEMPORAL_PORT" in failure.value.hint


@pytest.fixture(params=CASES)
def running(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"embedded_{request.param}")
    return engine


async def test_the_second_on_a_folder_is_told_who_the_first_is(running: Engine) -> None:
    second = type(running)(running.home.parent)
    with pytest.raises(EngineAlreadyRunning, match=rf"already running on .*process {os.getpid()}\b"):
        await second.start()
    assert running.running


async def test_all_that_is_kept_is_private(running: Engine) -> None:
    kept = [running.home, running.log, *running.home.iterdir()]
    assert [path.name for path in kept if path.stat().st_mode & 0o077] == []


async def test_an_engine_that_dies_is_started_again_on_its_port(tmp_path: Path) -> None:
    deaths: list[tuple[str, int]] = []
    async with (
        EmbeddedPostgres(tmp_path, durable=False) as engine,
        engines_kept([engine], on_restart=lambda name, code, _: deaths.append((name, code))),
    ):
        await write_row(engine)
        dead = engine.pid
        engine.kill()
        assert await until(lambda: engine.pid not in {None, dead}, 20)
        await engine.ensure_running()  # waits until it serves; starts no second one
        assert await read_row(engine) == "kept"
    assert deaths == [("PostgreSQL", 128 + signal.SIGKILL)]
    assert not engine.running
