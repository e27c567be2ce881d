"""Images that local controllers offer to the chargers behind them (OCPP 2.0.1 L03)."""

from alembic import op

revision = "0058"
down_revision = "0054"

STATEMENTS = (
    """
    CREATE TABLE local_image (
        campaign_id TEXT COLLATE "C" NOT NULL, wave INTEGER NOT NULL, site_id TEXT COLLATE "C" NOT NULL,
        controller_id TEXT COLLATE "C" NOT NULL, artifact_id TEXT COLLATE "C" NOT NULL,
        checksum TEXT COLLATE "C" NOT NULL, request_id BIGINT NOT NULL, since TIMESTAMPTZ NOT NULL,
        deadline TIMESTAMPTZ NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, locations TEXT[] NOT NULL,
        CONSTRAINT pk_local_image PRIMARY KEY (campaign_id, wave, site_id)
    )
    """,
    """
    CREATE INDEX ix_local_image_controller_id_checksum ON local_image (controller_id, checksum)
    """,
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
