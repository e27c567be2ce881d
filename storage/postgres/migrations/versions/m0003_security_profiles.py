"""The profile floor of a charger, and a password that is pending until the charger shows which is live."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    "ALTER TABLE charger ADD COLUMN security_floor SMALLINT DEFAULT 0 NOT NULL",
    "CREATE INDEX ix_charger_serial_number ON charger (serial_number)",
    """
    ALTER TABLE charger_credential
        ADD COLUMN pending_hmac BYTEA,
        ADD COLUMN pending_since TIMESTAMPTZ
    """,
    "CREATE INDEX ix_charger_credential_secret_hmac ON charger_credential (secret_hmac)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
