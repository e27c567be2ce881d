"""How long the hours are by which a projection counts, so that nobody reads them as others."""

from alembic import op

revision = "0044"
down_revision = "0040"


def upgrade() -> None:
    """None: real hours."""
    op.execute("ALTER TABLE projection ADD COLUMN hour_s INTEGER")
