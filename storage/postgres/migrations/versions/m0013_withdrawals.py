"""Images and firmware signing certificates that are not sent any more."""

from alembic import op

revision = "0013"
down_revision = "0014"

STATEMENTS = (
    """
    CREATE TABLE withdrawal (
        subject TEXT COLLATE "C" NOT NULL,
        reason TEXT NOT NULL,
        source TEXT NOT NULL,
        withdrawn_by TEXT NOT NULL,
        withdrawn_at TIMESTAMPTZ NOT NULL,
        restored_by TEXT[] DEFAULT '{}' NOT NULL,
        CONSTRAINT pk_withdrawal PRIMARY KEY (subject)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
