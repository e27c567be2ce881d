"""The tables of projections and incidents; part of ``tables``."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from storage.health import COUNTERS
from storage.postgres.columns import ROOMY, flag, metadata, name, time, words
from storage.service import SUMMED

projection = sa.Table(
    "projection",
    metadata,
    name("name", primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    time("through", nullable=True),
    sa.Column("hour_s", sa.Integer),
)
"""How far each projection has read; whoever moves one on holds its row. ``hour_s``: by hours of so many
seconds it counts, where they are not real ones."""

charging_session = sa.Table(
    "charging_session",
    metadata,
    name("charger_id"),
    name("transaction_id"),
    name("state"),
    time("began_at"),
    time("heard_at"),
    time("free_since", nullable=True),
    time("asked_at", nullable=True),
    sa.Column("record", JSONB, nullable=False),
    sa.PrimaryKeyConstraint("charger_id", "transaction_id"),
    sa.Index("ix_charging_session_latest", "charger_id", "began_at", "transaction_id"),
    postgresql_with=ROOMY,
)
sa.Index(
    "ix_charging_session_open",
    charging_session.c.charger_id,
    postgresql_where=charging_session.c.state.in_(["open", "suspect", "recovered"]),
)
"""The columns repeat what the record says, for finding it."""

health_memory = sa.Table(
    "health_memory",
    metadata,
    name("charger_id", primary_key=True),
    time("left_at", nullable=True),
    sa.Column("memory", JSONB, nullable=False),
    postgresql_with=ROOMY,
)

health_hour = sa.Table(
    "health_hour",
    metadata,
    name("charger_id"),
    time("hour"),
    sa.Column("heard", sa.BigInteger, nullable=False),
    sa.Column("skew_min_s", sa.Double),
    sa.Column("return_max_s", sa.Double),
    *(sa.Column(each, sa.Integer, nullable=False) for each in COUNTERS),
    sa.PrimaryKeyConstraint("charger_id", "hour"),
    postgresql_with=ROOMY,
)

campaign_forecast = sa.Table(
    "campaign_forecast",
    metadata,
    name("plan_digest", primary_key=True),
    time("made_at"),
    sa.Column("body", JSONB, nullable=False),
)
"""What was forecast of exactly this plan and cohort."""

incident = sa.Table(
    "incident",
    metadata,
    sa.Column("incident_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    name("kind"),
    name("subject"),
    words("summary"),
    time("opened_at"),
    time("closed_at", nullable=True),
    sa.Column("detail", JSONB, nullable=False),
    words("closed_by", nullable=True),
    words("close_reason", nullable=True),
)
sa.Index(
    "uq_incident_open",
    incident.c.kind,
    incident.c.subject,
    unique=True,
    postgresql_where=incident.c.closed_at.is_(None),
)

_INTEGERS = frozenset({"repairs", "faults", "sessions", "connects", "temperature_n"})
service_day = sa.Table(
    "service_day",
    metadata,
    name("charger_id"),
    sa.Column("day", sa.Date, nullable=False),
    name("version"),
    *(sa.Column(each, sa.Integer if each in _INTEGERS else sa.Double, nullable=False) for each in SUMMED),
    sa.Column("temperature_max", sa.Double),
    sa.PrimaryKeyConstraint("charger_id", "day", "version"),
    sa.Index(None, "day"),
    postgresql_with=ROOMY,
)

service_memory = sa.Table(
    "service_memory",
    metadata,
    name("charger_id", primary_key=True),
    time("at", nullable=True),
    name("version"),
    flag("online"),
    sa.Column("up", sa.Double),
    sa.Column("parked", sa.Double, nullable=False),
    sa.Column("in_use", sa.Double, nullable=False),
    time("planned_until", nullable=True),
    time("failing_since", nullable=True),
    sa.Column("memory", JSONB, nullable=False),
    postgresql_with=ROOMY,
)
"""The columns repeat how the memory says that a charger stands, so that time since then can be summed."""

__all__ = [
    "charging_session",
    "health_hour",
    "health_memory",
    "incident",
    "projection",
    "service_day",
    "service_memory",
]
