"""When which node listened to chargers."""

from alembic import op

revision = "0082"
down_revision = "0080"

STATEMENTS = (
    """
    CREATE TABLE listening (
        node_id TEXT COLLATE "C" NOT NULL,
        boot_id TEXT COLLATE "C" NOT NULL,
        began_at TIMESTAMPTZ NOT NULL,
        until TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_listening PRIMARY KEY (node_id, boot_id, began_at)
    ) WITH (fillfactor = 70)
    """,
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
