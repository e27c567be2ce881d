"""The journal: a request and its answer in one row, and room for partitions by time."""

from alembic import op

revision = "0004"
down_revision = "0002"

STATEMENTS = (
    "ALTER TABLE frame ADD COLUMN answer TEXT",
    "ALTER TABLE frame DROP CONSTRAINT pk_frame",
    "CREATE INDEX ix_frame_charger_id_at ON frame (charger_id, at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
