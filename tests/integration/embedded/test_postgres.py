"""The embedded PostgreSQL: who may come in, whom it runs as, what an old run left."""

import asyncio
import os
import pwd
import sys
from pathlib import Path

import asyncpg
import pytest

from api.embedded.errors import EngineFailed
from api.embedded.identity import ProcessIdentity
from api.embedded.postgres import EmbeddedPostgres, remove_orphan

pytestmark = pytest.mark.integration
NOBODY = pwd.getpwnam("nobody").pw_uid
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user it runs as that user")


async def test_only_the_random_password_opens_it(embedded_postgres: EmbeddedPostgres) -> None:
    url = embedded_postgres.url
    password = (embedded_postgres.home / "password").read_text().strip()
    assert len(password) >= 32
    assert password in url
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url.replace(password, "ampwave"))


async def test_it_listens_on_loopback_tcp_alone(embedded_postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(embedded_postgres.url)
    try:
        assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
        assert await connection.fetchval("SHOW unix_socket_directories") == ""
        assert await connection.fetchval("SHOW password_encryption") == "scram-sha-256"
    finally:
        await connection.close()


def read_status(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: values.split() for name, _, values in (line.partition(":") for line in lines)}


@root_only
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_as_root_it_runs_as_nobody_and_opens_no_folder(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    async with EmbeddedPostgres(private / "data", durable=False) as engine:
        status = read_status(engine.pid or 0)
        assert status["Uid"] == [str(NOBODY)] * 4
        assert status["Groups"] == []
        assert private.stat().st_mode & 0o777 == 0o700
        assert (private / "data" / "postgres" / "data").stat().st_uid == NOBODY


async def test_a_note_that_names_a_stranger_does_not_stop_it(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path, durable=False) as engine:
        data = engine.home / "data"
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1\n5432\n\n127.0.0.1\n")
    async with EmbeddedPostgres(tmp_path, durable=False) as engine:
        assert engine.running


async def test_a_server_that_nobody_watches_is_stopped(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path, durable=False) as engine:
        command = engine._command()
    account = command.account
    orphan = await asyncio.create_subprocess_exec(
        *command.argv,
        cwd=command.cwd,
        env=dict(command.env),
        stderr=asyncio.subprocess.PIPE,
        **({"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}),
    )
    assert orphan.stderr is not None
    while b"ready to accept connections" not in await orphan.stderr.readline():
        assert orphan.returncode is None
    await remove_orphan(engine.home / "data")
    assert not ProcessIdentity.of(orphan.pid).alive
    await orphan.wait()


async def test_a_start_that_was_cut_short_leaves_nothing_half_made(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("16\n")
    async with EmbeddedPostgres(tmp_path, durable=False) as engine:
        assert engine.running
    assert not half.exists()


async def test_a_lost_password_is_said_so(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path, durable=False) as engine:
        password = engine.home / "password"
    password.unlink()
    with pytest.raises(EngineFailed, match="does not accept the password in"):
        await EmbeddedPostgres(tmp_path, durable=False).start()
