"""The version that a charger fell back to by itself, as its campaign ended with it."""

from alembic import op

revision = "0080"
down_revision = "0078"

STATEMENTS = ('ALTER TABLE campaign_target ADD COLUMN fell_back_to TEXT COLLATE "C"',)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
