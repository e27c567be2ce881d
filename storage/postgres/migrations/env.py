"""Alembic's entry: runs on the connection that ``storage.postgres.migrate`` hands in."""

from alembic import context

from storage.postgres.migrate import describes_ours
from storage.postgres.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=describes_ours,
)
with context.begin_transaction():
    context.run_migrations()
