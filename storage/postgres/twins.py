"""Everything about twins beyond the view of a charger, in one store made of small ones."""

from storage.postgres.desired import PostgresDesiredStore


class PostgresTwinStore(PostgresDesiredStore):
    """See ``storage.twin_ports.TwinStore``."""
