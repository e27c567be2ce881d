"""Names that others use, trust without a desired value, incidents closed by hand."""

from alembic import op

revision = "0011"
down_revision = "0012"

STATEMENTS = (
    "ALTER TABLE charger ADD COLUMN identity_version BIGINT DEFAULT 1 NOT NULL",
    "ALTER TABLE incident ADD COLUMN closed_by TEXT, ADD COLUMN close_reason TEXT",
    """
    CREATE TABLE identifier (
        namespace TEXT COLLATE "C" NOT NULL,
        value TEXT COLLATE "C" NOT NULL,
        subject TEXT COLLATE "C" NOT NULL,
        actor TEXT NOT NULL,
        since TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_identifier PRIMARY KEY (namespace, value)
    )
    """,
    "CREATE INDEX ix_identifier_subject ON identifier (subject)",
    """
    INSERT INTO identifier (namespace, value, subject, actor, since)
    SELECT 'ocpp', charger_id, 'charger/' || charger_id, 'registration', coalesce(registered_at, now())
    FROM charger
    """,
    # Of two that were registered with one serial number the first keeps it, and the other is found out.
    """
    INSERT INTO identifier (namespace, value, subject, actor, since)
    SELECT 'serial', vendor || '/' || serial_number, 'charger/' || charger_id, 'registration',
           coalesce(registered_at, now())
    FROM charger WHERE serial_number IS NOT NULL AND lifecycle <> 'retired'
    ORDER BY registered_at, charger_id
    ON CONFLICT DO NOTHING
    """,
    """
    CREATE TABLE trust_memory (
        charger_id TEXT COLLATE "C" NOT NULL,
        memory JSONB NOT NULL,
        CONSTRAINT pk_trust_memory PRIMARY KEY (charger_id)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
