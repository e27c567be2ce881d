"""For which campaign a charger was away, so that people see what spent its planned downtime."""

from alembic import op

revision = "0078"
down_revision = "0077"

STATEMENTS = (
    """ALTER TABLE site_lease ADD COLUMN campaign_id TEXT COLLATE "C" """,
    """ALTER TABLE downtime ADD COLUMN campaign_id TEXT COLLATE "C" """,
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
