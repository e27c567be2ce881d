"""What was rejected may come again, and tickets know the certificate that is sent with them."""

from alembic import op

revision = "0019"
down_revision = "0018"

STATEMENTS = (
    "ALTER TABLE artifact DROP CONSTRAINT uq_artifact_vendor_role_version",
    "CREATE UNIQUE INDEX uq_artifact_version ON artifact (vendor_role, version) WHERE phase <> 'rejected'",
    "CREATE INDEX ix_twin_history_received_at ON twin_history USING brin (received_at)",
    "ALTER TABLE download_ticket ADD COLUMN certificates TEXT[] DEFAULT '{}' NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
