"""The twins, and what stands around them: anomalies, drift, snapshots of the past, jobs."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from storage.postgres.columns import ROOMY, flag, metadata, name, time, words

twin = sa.Table(
    "twin",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id"), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    time("last_message_at", nullable=True),
    flag("online"),
    flag("charging"),
    flag("faulted"),
    words("firmware_version", nullable=True),
    postgresql_with=ROOMY,
)
"""The flags and the version repeat what the sections say, written in the same statement, for
filters and counts over the whole fleet."""

twin_section = sa.Table(
    "twin_section",
    metadata,
    name("charger_id", sa.ForeignKey("twin.charger_id")),
    name("name"),
    sa.Column("reported", JSONB),
    sa.Column("reported_version", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("desired", JSONB),
    sa.Column("desired_version", sa.BigInteger),
    sa.Column("acked_version", sa.BigInteger),
    words("ack_status", nullable=True),
    sa.Column("acks", JSONB),
    sa.PrimaryKeyConstraint("charger_id", "name"),
    postgresql_with=ROOMY,
)
sa.Index(
    "ix_twin_section_desired",
    twin_section.c.charger_id,
    postgresql_where=twin_section.c.desired.is_not(None),
)
"""Reports do not touch ``desired``, so their updates stay on their page."""

twin_history = sa.Table(
    "twin_history",
    metadata,
    name("charger_id"),
    sa.Column("revision", sa.BigInteger),
    time("observed_at"),
    time("received_at"),
    name("section"),
    name("side", server_default=sa.text("'reported'")),
    words("actor"),
    words("cause"),
    sa.Column("patch", JSONB, nullable=False),
    sa.PrimaryKeyConstraint("charger_id", "revision", "section", "side"),
    # Rows lie in the order in which they came, so this index is tiny and costs a writer next to nothing.
    sa.Index("ix_twin_history_received_at", "received_at", postgresql_using="brin"),
)
"""One row for each section that an event or a person changed; ``patch`` is an RFC 7396
merge patch from the revision before. Sides: reported, desired, and acknowledged for what a charger said to
what is desired."""

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

configuration = sa.Table(
    "configuration",
    metadata,
    name("configuration_id", primary_key=True),
    sa.Column("values", JSONB, nullable=False),
    words("actor"),
    time("created_at"),
    time("deadline_at"),
    name("request_sha256"),
    words("state"),
    time("finished_at", nullable=True),
    sa.Index(None, "created_at"),
)

configuration_line = sa.Table(
    "configuration_line",
    metadata,
    name("configuration_id", sa.ForeignKey("configuration.configuration_id")),
    sa.Column("ordinal", sa.Integer),
    sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("desired_version", sa.BigInteger),
    name("charger_id", sa.ForeignKey("charger.charger_id")),
    sa.Column("state", sa.Text, nullable=False, server_default=sa.text("'waiting'")),
    sa.Column("reason", sa.Text, nullable=False, server_default=sa.text("''")),
    time("finished_at", nullable=True),
    sa.PrimaryKeyConstraint("configuration_id", "ordinal"),
    sa.UniqueConstraint("configuration_id", "charger_id"),
    postgresql_with=ROOMY,
)
"""What a job makes of one charger."""
