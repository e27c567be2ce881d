"""Everything about projections and incidents over one pool, in one go."""

from sqlalchemy.ext.asyncio import AsyncEngine

from storage.health_time import REAL, HealthTime
from storage.postgres.charging import PostgresSessionStore
from storage.postgres.health import PostgresHealthStore
from storage.postgres.incidents import PostgresIncidentStore
from storage.postgres.projections import PostgresProjectionStore, Tail
from storage.postgres.recordings import PostgresRecordingStore
from storage.postgres.service import PostgresServiceStore
from storage.watching import WatchStores


def watch_stores(engine: AsyncEngine, time: HealthTime = REAL, tail: Tail | None = None) -> WatchStores:
    """The stores of what is watched."""
    tail = tail or Tail()
    return WatchStores(
        PostgresSessionStore(engine),
        PostgresHealthStore(engine, time),
        PostgresIncidentStore(engine),
        PostgresProjectionStore(engine, time, tail),
        PostgresServiceStore(engine, tail),
        PostgresRecordingStore(engine),
    )
