"""A log's bytes go after their time; that it was there, and its SHA-256, stays."""

from alembic import op

revision = "0012"
down_revision = "0007"

STATEMENTS = (
    "ALTER TABLE log_upload ADD COLUMN removed_at TIMESTAMPTZ",
    "CREATE INDEX ix_log_upload_received_at ON log_upload (received_at) WHERE removed_at IS NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
