"""What stands around the twins: anomalies, drift, snapshots of the past."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

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

drift = sa.Table(
    "drift",
    metadata,
    sa.Column("drift_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("desired_version", sa.BigInteger, nullable=False),
    sa.Column("differing_s", sa.Double, nullable=False),
    time("first_seen"),
    time("judged_at"),
    time("opened_at", nullable=True),
    time("closed_at", nullable=True),
    name("charger_id", sa.ForeignKey("charger.charger_id")),
    name("path"),
    words("severity"),
    words("state"),
    words("suspicion"),
    words("reason"),
    sa.Column("desired", JSONB),
    sa.Column("reported", JSONB),
    sa.Index("ix_drift_charger_id_drift_id", "charger_id", "drift_id"),
)
sa.Index(
    "uq_drift_alive",
    drift.c.charger_id,
    drift.c.path,
    unique=True,
    postgresql_where=sa.text("state <> 'closed'"),
)
"""At most one drift of a value that is not over."""

drift_judged = sa.Table(
    "drift_judged",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id"), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    time("judged_at"),
)
"""At which revision a twin was last judged; without a row it is due."""

twin_snapshot = sa.Table(
    "twin_snapshot",
    metadata,
    name("charger_id"),
    sa.Column("revision", sa.BigInteger),
    time("at"),
    sa.Column("sides", JSONB, nullable=False),
    sa.PrimaryKeyConstraint("charger_id", "revision"),
)
"""A whole twin every hundred revisions, side by side, so that the past is read in a bounded walk. Written by
housekeeping, never by the ingest."""

twin_summarised = sa.Table(
    "twin_summarised",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id"), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
)
"""Up to which revision a charger has its snapshots."""
