"""Bringing a database to the current schema. Safe when many processes start at once.

The whole upgrade is one transaction under an advisory lock: a second starter waits, then finds
nothing to do; a crash in between leaves the database as it was.
"""

import asyncio
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from storage.postgres.engine import create_engine, transaction, translated
from storage.postgres.tables import metadata

_LOCK = 0x616D7077617665  # "ampwave"
_ONE_AT_A_TIME = asyncio.Lock()
"""Alembic keeps its state in module globals."""
_FOLDER = Path(__file__).parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head_revision() -> str:
    """The revision this code was written for."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError(f"There are no migrations in {_FOLDER}: the installation is incomplete.")
    return head


def _engine(database_url: str) -> AsyncEngine:
    return create_engine(database_url, poolclass=NullPool, statement_timeout_s=0)


async def upgrade(database_url: str) -> str:
    """Bring the database to ``head_revision`` and return it.

    Raises:
        EngineUnavailable: the database did not answer.
    """
    engine = _engine(database_url)
    try:
        async with _ONE_AT_A_TIME, transaction(engine) as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await connection.run_sync(_run_upgrade)
    finally:
        await engine.dispose()
    return head_revision()


def _run_upgrade(connection: Connection) -> None:
    if _read_revision(connection) != head_revision():
        command.upgrade(_config(connection), "head")


def _read_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def current_revision(database_url: str) -> str | None:
    """The revision the database is at; None for an empty one."""
    engine = _engine(database_url)
    try:
        with translated():
            async with engine.connect() as connection:
                return await connection.run_sync(_read_revision)
    finally:
        await engine.dispose()


async def is_current(database_url: str) -> bool:
    """Whether the database has exactly the schema that this code was written for."""
    return await current_revision(database_url) == head_revision()


def describes_ours(_thing: object, name: str | None, kind: str, reflected: bool, _other: object) -> bool:  # noqa: FBT001 - alembic's signature
    """Leave partitions of the journal out of comparisons: operators cut them as they like."""
    return not (reflected and kind == "table" and (name or "").startswith("frame_"))


def differences(connection: Connection) -> list[Any]:
    """What the migrated database and ``tables.metadata`` disagree on; empty when all is well."""
    options = {"include_object": describes_ours, "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))
