"""Holds, pins, closures, what sites ask for, planned downtime, and which campaign goes first."""

from alembic import op

revision = "0020"
down_revision = "0025"

STATEMENTS = (
    """
    CREATE TABLE charger_upkeep (
        charger_id TEXT COLLATE "C" NOT NULL, hold TEXT NOT NULL, hold_until TIMESTAMPTZ, pin TEXT,
        link TEXT, power_kw DOUBLE PRECISION, connector_types TEXT[] NOT NULL, changed_by TEXT NOT NULL,
        CONSTRAINT pk_charger_upkeep PRIMARY KEY (charger_id),
        CONSTRAINT fk_charger_upkeep_charger_id_charger
            FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    """
    CREATE TABLE closure (
        closure_id TEXT COLLATE "C" NOT NULL, begins TIMESTAMPTZ NOT NULL, ends TIMESTAMPTZ NOT NULL,
        kind TEXT COLLATE "C" NOT NULL, reason TEXT NOT NULL, site_id TEXT COLLATE "C",
        price DOUBLE PRECISION,
        CONSTRAINT pk_closure PRIMARY KEY (closure_id),
        CONSTRAINT fk_closure_site_id_site FOREIGN KEY (site_id) REFERENCES site (site_id),
        CONSTRAINT ck_closure_forward CHECK (ends > begins)
    )
    """,
    "CREATE INDEX ix_closure_ends ON closure (ends)",
    """
    CREATE TABLE downtime (
        charger_id TEXT COLLATE "C" NOT NULL, site_id TEXT COLLATE "C" NOT NULL, kind TEXT NOT NULL,
        began TIMESTAMPTZ NOT NULL, ended TIMESTAMPTZ NOT NULL
    )
    """,
    "CREATE INDEX ix_downtime_charger_id_ended ON downtime (charger_id, ended)",
    """
    CREATE TABLE metering (
        artifact_id TEXT COLLATE "C" NOT NULL, countries TEXT[] NOT NULL, reason TEXT NOT NULL,
        actor TEXT NOT NULL, at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_metering PRIMARY KEY (artifact_id),
        CONSTRAINT fk_metering_artifact_id_artifact
            FOREIGN KEY (artifact_id) REFERENCES artifact (artifact_id)
    )
    """,
    "ALTER TABLE site ADD COLUMN rules JSONB DEFAULT '{}' NOT NULL",
    "ALTER TABLE site_lease ADD COLUMN taken_at TIMESTAMPTZ DEFAULT now() NOT NULL",
    "ALTER TABLE site_lease ADD COLUMN download_bytes BIGINT DEFAULT 0 NOT NULL",
    "ALTER TABLE model_profile ADD COLUMN veto_variable TEXT, ADD COLUMN veto_value TEXT",
    "ALTER TABLE campaign ADD COLUMN priority INTEGER DEFAULT 500 NOT NULL",
    """
    CREATE INDEX ix_campaign_target_open ON campaign_target (charger_id) WHERE finished_at IS NULL
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
