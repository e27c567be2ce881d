"""What chargers were before the updates that are under way: settings, profile and roots."""

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE update_kept (
            campaign_id TEXT COLLATE "C" NOT NULL, wave INTEGER NOT NULL,
            charger_id TEXT COLLATE "C" NOT NULL, taken_at TIMESTAMPTZ NOT NULL,
            values JSONB NOT NULL, profile INTEGER NOT NULL, roots TEXT[] NOT NULL,
            CONSTRAINT pk_update_kept PRIMARY KEY (campaign_id, wave, charger_id)
        )
        """
    )
