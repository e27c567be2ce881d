"""Who is who, and what people accepted."""

from collections.abc import Sequence

from storage.postgres.identifiers import PostgresIdentifierStore
from storage.postgres.moves import PostgresMoveStore
from storage.postgres.trust import accept
from storage.trust import Acceptance


class PostgresRegistryStore(PostgresIdentifierStore, PostgresMoveStore):
    """See ``storage.registry_ports.RegistryStore``."""

    async def accept(self, given: Acceptance) -> Sequence[str]:
        """Hold what a charger reports of these paths to be right."""
        return await accept(self._engine, given)
