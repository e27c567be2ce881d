"""Everything about twins beyond the view of a charger, in one store made of small ones."""

from storage.postgres.anomalies import PostgresAnomalyStore
from storage.postgres.desired import PostgresDesiredStore
from storage.postgres.drift import PostgresDriftStore


class PostgresTwinStore(PostgresDesiredStore, PostgresDriftStore, PostgresAnomalyStore):
    """See ``storage.twin_ports.TwinStore``."""
