"""Session records, health hours and incidents: projections of the event log, and how far each has read."""

from alembic import op

revision = "0008"
down_revision = "0004"

_COUNTERS = [
    "messages",
    "errors",
    "boots",
    "boot_loops",
    "connects",
    "silences",
    "probes",
    "probes_answered",
    "updates",
    "returns",
    "went_faulted",
    "went_unavailable",
    "attempts",
    "attempts_ok",
    "attempts_failed",
    "stops",
    "abnormal_stops",
    "meter_backwards",
    "open_at_boot",
    "closed_after_boot",
    "profile_drops",
]

STATEMENTS = (
    """
    CREATE TABLE projection (
        name TEXT COLLATE "C" NOT NULL, sequence BIGINT NOT NULL, through TIMESTAMPTZ,
        CONSTRAINT pk_projection PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE charging_session (
        charger_id TEXT COLLATE "C" NOT NULL, transaction_id TEXT COLLATE "C" NOT NULL,
        state TEXT COLLATE "C" NOT NULL, began_at TIMESTAMPTZ NOT NULL, heard_at TIMESTAMPTZ NOT NULL,
        free_since TIMESTAMPTZ, asked_at TIMESTAMPTZ, record JSONB NOT NULL,
        CONSTRAINT pk_charging_session PRIMARY KEY (charger_id, transaction_id)
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX ix_charging_session_latest ON charging_session (charger_id, began_at, transaction_id)",
    """
    CREATE INDEX ix_charging_session_open ON charging_session (charger_id)
    WHERE state IN ('open', 'suspect', 'recovered')
    """,
    """
    CREATE TABLE health_memory (
        charger_id TEXT COLLATE "C" NOT NULL, left_at TIMESTAMPTZ, memory JSONB NOT NULL,
        CONSTRAINT pk_health_memory PRIMARY KEY (charger_id)
    ) WITH (fillfactor = 70)
    """,
    f"""
    CREATE TABLE health_hour (
        charger_id TEXT COLLATE "C" NOT NULL, hour TIMESTAMPTZ NOT NULL, heard BIGINT NOT NULL,
        skew_min_s DOUBLE PRECISION, return_max_s DOUBLE PRECISION,
        {", ".join(f"{name} INTEGER NOT NULL" for name in _COUNTERS)},
        CONSTRAINT pk_health_hour PRIMARY KEY (charger_id, hour)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE incident (
        incident_id BIGINT GENERATED ALWAYS AS IDENTITY,
        kind TEXT COLLATE "C" NOT NULL, subject TEXT COLLATE "C" NOT NULL, summary TEXT NOT NULL,
        opened_at TIMESTAMPTZ NOT NULL, closed_at TIMESTAMPTZ, detail JSONB NOT NULL,
        CONSTRAINT pk_incident PRIMARY KEY (incident_id)
    )
    """,
    "CREATE UNIQUE INDEX uq_incident_open ON incident (kind, subject) WHERE closed_at IS NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
