"""The version of a charger's local list before an update."""

from alembic import op

revision = "0054"
down_revision = "0056"


def upgrade() -> None:
    op.execute("ALTER TABLE update_kept ADD COLUMN local_list BIGINT")
