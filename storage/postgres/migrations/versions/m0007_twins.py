"""Around the twins: anomalies; what chargers said to each desired value."""

from alembic import op

revision = "0007"
down_revision = "0002"

STATEMENTS = (
    """
    CREATE TABLE anomaly (
        charger_id TEXT COLLATE "C" NOT NULL,
        kind TEXT COLLATE "C" NOT NULL,
        path TEXT COLLATE "C" NOT NULL,
        reason TEXT NOT NULL,
        cause TEXT NOT NULL,
        first_seen TIMESTAMPTZ NOT NULL,
        last_seen TIMESTAMPTZ NOT NULL,
        times BIGINT NOT NULL DEFAULT 1,
        CONSTRAINT pk_anomaly PRIMARY KEY (charger_id, kind, path),
        CONSTRAINT fk_anomaly_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    "ALTER TABLE twin_section ADD COLUMN acks JSONB",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
