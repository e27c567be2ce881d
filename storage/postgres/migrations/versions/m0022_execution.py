"""Chargers that fail again and again are set apart for a time."""

from alembic import op

revision = "0022"
down_revision = "0020"

STATEMENTS = (
    """
    CREATE TABLE charger_penalty (
        charger_id TEXT COLLATE "C" NOT NULL, since TIMESTAMPTZ NOT NULL, until TIMESTAMPTZ NOT NULL,
        failures INTEGER NOT NULL, times INTEGER NOT NULL, reason TEXT NOT NULL,
        released_at TIMESTAMPTZ, released_by TEXT DEFAULT '' NOT NULL,
        CONSTRAINT pk_charger_penalty PRIMARY KEY (charger_id)
    )
    """,
    "CREATE INDEX ix_charger_penalty_standing ON charger_penalty (until) WHERE released_at IS NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
