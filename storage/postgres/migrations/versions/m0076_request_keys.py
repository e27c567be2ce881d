"""What each Idempotency-Key of an act was used for."""

from alembic import op

revision = "0076"
down_revision = "0074"

STATEMENTS = (
    """
    CREATE TABLE request_key (
        act_id TEXT COLLATE "C" NOT NULL,
        request_sha256 TEXT COLLATE "C" NOT NULL,
        at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_request_key PRIMARY KEY (act_id)
    )
    """,
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
