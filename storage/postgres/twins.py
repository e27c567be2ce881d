"""Everything about twins beyond the view of a charger, in one store made of small ones."""

from sqlalchemy.ext.asyncio import AsyncEngine

from storage.ports import Projector
from storage.postgres.anomalies import PostgresAnomalyStore
from storage.postgres.configurations import PostgresConfigurationStore
from storage.postgres.desired import PostgresDesiredStore
from storage.postgres.drift import PostgresDriftStore
from storage.postgres.past import PostgresPastStore
from storage.postgres.rebuild import PostgresRebuildStore


class PostgresTwinStore(
    PostgresDesiredStore,
    PostgresDriftStore,
    PostgresAnomalyStore,
    PostgresPastStore,
    PostgresRebuildStore,
    PostgresConfigurationStore,
):
    """See ``storage.twin_ports.TwinStore``. ``project``: the same function that the ingest is given."""

    def __init__(self, engine: AsyncEngine, project: Projector) -> None:
        self._engine = engine
        self._project = project
