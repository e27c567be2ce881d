"""Renewals of many chargers' certificates, in waves."""

from alembic import op

revision = "0025"
down_revision = "0024"

STATEMENTS = (
    """
    CREATE TABLE renewal (
        renewal_id TEXT COLLATE "C" NOT NULL, plan JSON NOT NULL, phase TEXT NOT NULL, reason TEXT NOT NULL,
        created_by TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL, finished_at TIMESTAMPTZ,
        chargers INTEGER NOT NULL, waves INTEGER NOT NULL,
        CONSTRAINT pk_renewal PRIMARY KEY (renewal_id)
    )
    """,
    "CREATE INDEX ix_renewal_created_at_renewal_id ON renewal (created_at, renewal_id)",
    """
    CREATE TABLE renewal_target (
        renewal_id TEXT COLLATE "C" NOT NULL, wave INTEGER NOT NULL, ordinal INTEGER NOT NULL,
        charger_id TEXT COLLATE "C" NOT NULL, attempts INTEGER NOT NULL, not_before TIMESTAMPTZ,
        outcome TEXT, reason TEXT NOT NULL, serial TEXT, finished_at TIMESTAMPTZ,
        CONSTRAINT pk_renewal_target PRIMARY KEY (renewal_id, ordinal),
        CONSTRAINT uq_renewal_target_renewal_id_charger_id UNIQUE (renewal_id, charger_id),
        CONSTRAINT fk_renewal_target_renewal_id_renewal FOREIGN KEY (renewal_id)
            REFERENCES renewal (renewal_id),
        CONSTRAINT fk_renewal_target_charger_id_charger FOREIGN KEY (charger_id)
            REFERENCES charger (charger_id)
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX ix_renewal_target_charger_id ON renewal_target (charger_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
