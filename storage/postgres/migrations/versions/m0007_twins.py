"""Around the twins: anomalies; what chargers said to each desired value; drift; snapshots; jobs."""

from alembic import op

revision = "0007"
down_revision = "0009"

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
    "CREATE INDEX ix_twin_section_desired ON twin_section (charger_id) WHERE desired IS NOT NULL",
    """
    CREATE TABLE drift (
        drift_id BIGINT GENERATED ALWAYS AS IDENTITY,
        desired_version BIGINT NOT NULL,
        differing_s DOUBLE PRECISION NOT NULL,
        first_seen TIMESTAMPTZ NOT NULL,
        judged_at TIMESTAMPTZ NOT NULL,
        opened_at TIMESTAMPTZ,
        closed_at TIMESTAMPTZ,
        charger_id TEXT COLLATE "C" NOT NULL,
        path TEXT COLLATE "C" NOT NULL,
        severity TEXT NOT NULL,
        state TEXT NOT NULL,
        suspicion TEXT NOT NULL,
        reason TEXT NOT NULL,
        desired JSONB,
        reported JSONB,
        CONSTRAINT pk_drift PRIMARY KEY (drift_id),
        CONSTRAINT fk_drift_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    "CREATE INDEX ix_drift_charger_id_drift_id ON drift (charger_id, drift_id)",
    "CREATE UNIQUE INDEX uq_drift_alive ON drift (charger_id, path) WHERE state <> 'closed'",
    """
    CREATE TABLE drift_judged (
        charger_id TEXT COLLATE "C" NOT NULL,
        revision BIGINT NOT NULL,
        judged_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_drift_judged PRIMARY KEY (charger_id),
        CONSTRAINT fk_drift_judged_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    """
    CREATE TABLE twin_snapshot (
        charger_id TEXT COLLATE "C" NOT NULL,
        revision BIGINT NOT NULL,
        at TIMESTAMPTZ NOT NULL,
        sides JSONB NOT NULL,
        CONSTRAINT pk_twin_snapshot PRIMARY KEY (charger_id, revision)
    )
    """,
    """
    CREATE TABLE twin_summarised (
        charger_id TEXT COLLATE "C" NOT NULL,
        revision BIGINT NOT NULL,
        CONSTRAINT pk_twin_summarised PRIMARY KEY (charger_id),
        CONSTRAINT fk_twin_summarised_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    """
    CREATE TABLE configuration (
        configuration_id TEXT COLLATE "C" NOT NULL,
        "values" JSONB NOT NULL,
        actor TEXT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        deadline_at TIMESTAMPTZ NOT NULL,
        request_sha256 TEXT COLLATE "C" NOT NULL,
        state TEXT NOT NULL,
        finished_at TIMESTAMPTZ,
        CONSTRAINT pk_configuration PRIMARY KEY (configuration_id)
    )
    """,
    "CREATE INDEX ix_configuration_created_at ON configuration (created_at)",
    """
    CREATE TABLE configuration_line (
        configuration_id TEXT COLLATE "C" NOT NULL,
        ordinal INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        desired_version BIGINT,
        charger_id TEXT COLLATE "C" NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting',
        reason TEXT NOT NULL DEFAULT '',
        finished_at TIMESTAMPTZ,
        CONSTRAINT pk_configuration_line PRIMARY KEY (configuration_id, ordinal),
        CONSTRAINT uq_configuration_line_configuration_id_charger_id UNIQUE (configuration_id, charger_id),
        CONSTRAINT fk_configuration_line_configuration_id
            FOREIGN KEY (configuration_id) REFERENCES configuration (configuration_id),
        CONSTRAINT fk_configuration_line_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    ) WITH (fillfactor = 70)
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
