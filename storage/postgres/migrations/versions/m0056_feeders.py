"""Who came back to a site lately, for the feeder that it hangs on."""

from alembic import op

revision = "0056"
down_revision = "0050"


def upgrade() -> None:
    """A look into the last minute."""
    op.execute("CREATE INDEX ix_downtime_site_id_ended ON downtime (site_id, ended)")
