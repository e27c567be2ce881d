"""Images that chargers fetch ahead of their install."""

from alembic import op

revision = "0040"
down_revision = "0042"

STATEMENTS = (
    """
    CREATE TABLE parked_image (
        charger_id TEXT COLLATE "C" NOT NULL, campaign_id TEXT COLLATE "C" NOT NULL, wave INTEGER NOT NULL,
        request_id BIGINT NOT NULL, directive_id TEXT COLLATE "C" NOT NULL,
        artifact_id TEXT COLLATE "C" NOT NULL, version TEXT COLLATE "C" NOT NULL,
        since TIMESTAMPTZ NOT NULL, state TEXT NOT NULL,
        CONSTRAINT pk_parked_image PRIMARY KEY (charger_id)
    )
    """,
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
