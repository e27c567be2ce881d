"""Forecasts of campaigns, by what was forecast."""

from alembic import op

revision = "0038"
down_revision = "0027"

STATEMENTS = (
    """
    CREATE TABLE campaign_forecast (
        plan_digest TEXT COLLATE "C" NOT NULL, made_at TIMESTAMPTZ NOT NULL, body JSONB NOT NULL,
        CONSTRAINT pk_campaign_forecast PRIMARY KEY (plan_digest)
    )
    """,
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
