"""What chargers were before their updates, and where each charger of a campaign stands."""

from alembic import op

revision = "0023"
down_revision = "0022"

STATEMENTS = (
    """
    CREATE TABLE update_kept (
        campaign_id TEXT COLLATE "C" NOT NULL, wave INTEGER NOT NULL,
        charger_id TEXT COLLATE "C" NOT NULL, taken_at TIMESTAMPTZ NOT NULL,
        values JSONB NOT NULL, profile INTEGER NOT NULL, roots TEXT[] NOT NULL,
        CONSTRAINT pk_update_kept PRIMARY KEY (campaign_id, wave, charger_id)
    )
    """,
    """
    CREATE TABLE campaign_wave (
        campaign_id TEXT COLLATE "C" NOT NULL, wave INTEGER NOT NULL, deadline TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_campaign_wave PRIMARY KEY (campaign_id, wave)
    )
    """,
    "CREATE INDEX ix_campaign_target_latest ON campaign_target (campaign_id, charger_id, wave)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
