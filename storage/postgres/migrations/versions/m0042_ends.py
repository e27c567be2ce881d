"""A campaign's end, which people may move, and chargers that were called back."""

from alembic import op

revision = "0042"
down_revision = "0038"

STATEMENTS = (
    "ALTER TABLE campaign ADD COLUMN ends_at TIMESTAMPTZ",
    "ALTER TABLE campaign_target ADD COLUMN recalled TEXT DEFAULT '' NOT NULL",
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
