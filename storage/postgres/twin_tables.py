"""What stands around the twins: anomalies."""

import sqlalchemy as sa

from storage.postgres.columns import metadata, name, time, words

anomaly = sa.Table(
    "anomaly",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id")),
    name("kind"),
    name("path"),
    words("reason"),
    words("cause"),
    time("first_seen"),
    time("last_seen"),
    sa.Column("times", sa.BigInteger, nullable=False, server_default=sa.text("1")),
    sa.PrimaryKeyConstraint("charger_id", "kind", "path"),
)
"""What was reported and does not belong into the twin, or contradicts what is known."""
