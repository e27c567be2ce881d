"""A revocation list of each issuer, also of one whose key issues nothing any more (RFC 5280 section 5)."""

from alembic import op

revision = "0066"
down_revision = "0058"

STATEMENTS = (
    "ALTER TABLE revocation_list ADD COLUMN former BOOLEAN NOT NULL DEFAULT false",
    "CREATE INDEX ix_certificate_issuer ON certificate (issuer, not_after)",
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
