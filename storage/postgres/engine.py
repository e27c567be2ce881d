"""The connection pool, and the one place where driver errors become ours."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
import orjson
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from storage.canonical import canonical_json
from storage.errors import AmpwaveError, Conflict, EngineUnavailable, InvalidInput

CONNECT_TIMEOUT_S = 5.0
POOLED = 15
"""Connections that a process keeps. No more on top: one that is opened for a single statement and closed
again costs both ends a hundred times what the statement does (SCRAM is slow on purpose)."""
INGEST_POOLED = 3
"""Connections of the ingest alone, one for each lane and one that rings (``bell``): a fleet that reconnects
at once must not stand before the commits."""

JSON_OPTIONS: dict[str, Any] = {
    "json_serializer": lambda value: canonical_json(value).decode(),
    "json_deserializer": orjson.loads,
}


def driver_url(database_url: str) -> URL:
    """The same address for SQLAlchemy's asyncpg dialect."""
    return make_url(database_url).set(drivername="postgresql+asyncpg")


def driver_dsn(database_url: str) -> str:
    """The same address for asyncpg itself."""
    url = make_url(database_url).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


def create_engine(
    database_url: str,
    *,
    application_name: str = "ampwave",
    statement_timeout_s: float = 30.0,
    **options: Any,
) -> AsyncEngine:
    """A pool of connections to ``postgresql://user:password@host:port/database``.

    A statement that runs longer than ``statement_timeout_s`` (0: no limit) or a transaction left
    idle for a minute is ended by the server. ``options`` go to SQLAlchemy, for example ``pool_size``.
    """
    if "poolclass" not in options:
        # Last in, first out: a statement is known already to the few connections that do most of the work.
        options = {"pool_size": POOLED, "max_overflow": 0, "pool_use_lifo": True, **options}
    settings = {
        "application_name": application_name,
        "statement_timeout": str(int(statement_timeout_s * 1000)),
        "idle_in_transaction_session_timeout": "60000",
        "timezone": "UTC",
        "jit": "off",
    }
    # The server enforces the limit; the client's own, later one only notices a server that vanished.
    command_timeout = statement_timeout_s + 5.0 if statement_timeout_s else None
    engine = create_async_engine(
        driver_url(database_url),
        connect_args={
            "server_settings": settings,
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": command_timeout,
        },
        **JSON_OPTIONS,
        hide_parameters=True,
        **options,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def create_ingest_engine(database_url: str) -> AsyncEngine:
    """A small pool of its own for ``PostgresIngestStore``."""
    return create_engine(database_url, application_name="ampwave ingest", pool_size=INGEST_POOLED)


def _refuse_closed(adapted: Any, _record: object, _proxy: object) -> None:
    """Replace a pooled connection whose server went away; costs no round trip."""
    if adapted.driver_connection.is_closed():
        raise DisconnectionError


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction; driver errors leave it as ours."""
    with translated():
        async with engine.begin() as connection:
            yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Statements that stand alone, one round trip each instead of three."""
    with translated():
        async with _autocommitting(engine).connect() as connection:
            yield connection


writing = reading
"""The same for one statement that changes something: it is a transaction of its own."""


_AUTOCOMMITTING: WeakKeyDictionary[AsyncEngine, AsyncEngine] = WeakKeyDictionary()


def _autocommitting(engine: AsyncEngine) -> AsyncEngine:
    """The same pool; made once, for making it costs as much as a small statement."""
    if (found := _AUTOCOMMITTING.get(engine)) is None:
        found = _AUTOCOMMITTING[engine] = engine.execution_options(isolation_level="AUTOCOMMIT")
    return found


@asynccontextmanager
async def driver_alone(engine: AsyncEngine) -> AsyncIterator[Any]:
    """The driver's own connection, for statements of a hot path that stand alone."""
    with translated():
        pooled = await engine.raw_connection()
        try:
            yield pooled.driver_connection
        finally:
            await greenlet_spawn(pooled.close)


async def driver_of(connection: AsyncConnection) -> Any:
    """The driver's own connection below this one."""
    return (await connection.get_raw_connection()).driver_connection


@asynccontextmanager
async def driver_transaction(engine: AsyncEngine, begin: str) -> AsyncIterator[Any]:
    """One transaction on the driver's own connection, opened by the statements in ``begin``."""
    with translated():
        async with engine.connect() as pooled:
            driver = await driver_of(pooled)
            async with _begun(driver, begin):
                yield driver


@asynccontextmanager
async def mixed_transaction(engine: AsyncEngine) -> AsyncIterator[tuple[AsyncConnection, Any]]:
    """The same, and the connection above the driver's, which runs its statements in that transaction."""
    with translated():
        async with _autocommitting(engine).connect() as connection:
            driver = await driver_of(connection)
            async with _begun(driver, "BEGIN"):
                yield connection, driver


@asynccontextmanager
async def _begun(driver: Any, begin: str) -> AsyncIterator[None]:
    try:
        await driver.execute(begin)
        yield
        await driver.execute("COMMIT")
    except BaseException:
        await _give_up(driver)
        raise


_FROM_DRIVER = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # Asked while the driver reads that the server has ended the connection.
    OSError,
    TimeoutError,
)


async def _give_up(driver: Any) -> None:
    """Leave no open transaction behind; a connection that cannot even do that is closed."""
    try:
        await driver.execute("ROLLBACK", timeout=CONNECT_TIMEOUT_S)
    except _FROM_DRIVER:
        driver.terminate()


@contextmanager
def translated() -> Iterator[None]:
    """Turn whatever SQLAlchemy, asyncpg or the network raise into ``storage.errors``."""
    try:
        yield
    except AmpwaveError:
        raise
    except (SQLAlchemyError, *_FROM_DRIVER) as error:
        raise _ours(error) from error


_RETRY = (
    "08",  # connection
    "40",  # deadlock, serialisation
    "53",  # out of connections, memory, disk
    "55P03",  # lock not available
    "57",  # shutdown, statement timeout
    "58",  # system error
)


def _ours(error: Exception) -> AmpwaveError:
    cause = _cause(error)
    state = str(getattr(cause, "sqlstate", None) or "")
    if state.startswith(_RETRY):
        return _unavailable(cause)
    if isinstance(cause, asyncpg.CheckViolationError) and not cause.constraint_name:
        # Only a partition's bounds have no name: the row was on its way into the default partition.
        return EngineUnavailable("A partition was attached meanwhile.", hint="Try again; it fits then.")
    if isinstance(cause, asyncpg.IntegrityConstraintViolationError):
        return Conflict("The change contradicts what is stored.", hint="Read again, then decide again.")
    # Too long for an index, too deep: the value is at fault, and waiting will not make it fit.
    if isinstance(cause, asyncpg.DataError | asyncpg.ProgramLimitExceededError | ValueError):
        return InvalidInput("PostgreSQL cannot store a value as given.", [type(cause).__name__])
    if isinstance(cause, asyncpg.SyntaxOrAccessError):
        return EngineUnavailable(
            "The database does not have the expected schema.", hint="Run `ampwave db upgrade`."
        )
    return _unavailable(cause)


def _cause(error: Exception) -> BaseException:
    """The driver's own exception below SQLAlchemy's, without statement and parameters."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def _unavailable(cause: BaseException) -> EngineUnavailable:
    return EngineUnavailable(
        f"PostgreSQL did not do it: {type(cause).__name__}: {cause}",
        hint="It is safe to try again; check that the server is up and AMPWAVE_DATABASE_URL is right.",
    )
