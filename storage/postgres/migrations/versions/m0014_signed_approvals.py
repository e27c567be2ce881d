"""An approval keeps the signature of who gave it, for the signer and the nodes to check."""

from alembic import op

revision = "0014"
down_revision = "0011"

STATEMENTS = ("ALTER TABLE campaign_approval ADD COLUMN evidence TEXT DEFAULT '' NOT NULL",)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
