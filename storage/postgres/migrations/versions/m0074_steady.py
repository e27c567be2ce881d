"""How long a charger has to stay up before housekeeping puts it back into service."""

from alembic import op

revision = "0074"
down_revision = "0066"

STATEMENTS = ("ALTER TABLE out_of_service ADD COLUMN steady_seconds DOUBLE PRECISION",)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
