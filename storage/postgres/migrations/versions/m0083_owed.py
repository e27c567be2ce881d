"""What is still to be compared of chargers that count: how often they were asked, and when again."""

from alembic import op

revision = "0083"
down_revision = "0082"

STATEMENTS = (
    """
    ALTER TABLE update_kept
        ADD COLUMN tries INTEGER NOT NULL DEFAULT 0,
        ADD COLUMN next_at TIMESTAMPTZ,
        ADD COLUMN spoilt BOOLEAN NOT NULL DEFAULT false
    """,
    # Left behind by targets that ended before anybody would come back to them; some are old.
    """
    DELETE FROM update_kept kept USING campaign_target target
    WHERE target.campaign_id = kept.campaign_id AND target.wave = kept.wave
      AND target.charger_id = kept.charger_id AND target.phase = 'done'
    """,
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
