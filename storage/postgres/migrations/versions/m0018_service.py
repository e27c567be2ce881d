"""How chargers served: time up, down and in maintenance, by charger, day and version."""

from alembic import op

revision = "0018"
down_revision = "0017"

STATEMENTS = (
    """
    CREATE TABLE service_day (
        charger_id TEXT COLLATE "C" NOT NULL,
        day DATE NOT NULL,
        version TEXT COLLATE "C" NOT NULL,
        up_s DOUBLE PRECISION NOT NULL,
        down_s DOUBLE PRECISION NOT NULL,
        maintenance_s DOUBLE PRECISION NOT NULL,
        unknown_s DOUBLE PRECISION NOT NULL,
        in_use_s DOUBLE PRECISION NOT NULL,
        energy_wh DOUBLE PRECISION NOT NULL,
        repair_s DOUBLE PRECISION NOT NULL,
        repairs INTEGER NOT NULL,
        faults INTEGER NOT NULL,
        sessions INTEGER NOT NULL,
        connects INTEGER NOT NULL,
        temperature_n INTEGER NOT NULL,
        temperature_sum DOUBLE PRECISION NOT NULL,
        temperature_max DOUBLE PRECISION,
        CONSTRAINT pk_service_day PRIMARY KEY (charger_id, day, version)
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX ix_service_day_day ON service_day (day)",
    """
    CREATE TABLE service_memory (
        charger_id TEXT COLLATE "C" NOT NULL,
        at TIMESTAMPTZ,
        version TEXT COLLATE "C" NOT NULL,
        online BOOLEAN DEFAULT false NOT NULL,
        up DOUBLE PRECISION,
        parked DOUBLE PRECISION NOT NULL,
        in_use DOUBLE PRECISION NOT NULL,
        planned_until TIMESTAMPTZ,
        failing_since TIMESTAMPTZ,
        memory JSONB NOT NULL,
        CONSTRAINT pk_service_memory PRIMARY KEY (charger_id)
    ) WITH (fillfactor = 70)
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
