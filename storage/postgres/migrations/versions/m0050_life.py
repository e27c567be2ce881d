"""Stays in quarantine, and chargers that go through provisioning once more."""

from alembic import op

revision = "0050"
down_revision = "0044"

STATEMENTS = (
    """
    CREATE TABLE quarantine (
        charger_id TEXT COLLATE "C" NOT NULL, since TIMESTAMPTZ NOT NULL, signal TEXT COLLATE "C" NOT NULL,
        reason TEXT NOT NULL, actor TEXT NOT NULL, before TEXT COLLATE "C" NOT NULL, released_at TIMESTAMPTZ,
        released_by TEXT NOT NULL DEFAULT '', release_reason TEXT NOT NULL DEFAULT '',
        after TEXT COLLATE "C",
        CONSTRAINT pk_quarantine PRIMARY KEY (charger_id, since),
        CONSTRAINT fk_quarantine_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    # One stay at a time.
    """
    CREATE UNIQUE INDEX ix_quarantine_open ON quarantine (charger_id) WHERE released_at IS NULL
    """,
    # Whoever is set aside at this moment; why is in the audit log alone.
    """
    INSERT INTO quarantine (charger_id, since, signal, reason, actor, before)
    SELECT charger_id, now(), 'person', 'set aside before reasons were kept; see the audit log', 'ampwave',
           'registered'
    FROM charger WHERE lifecycle = 'quarantined'
    """,
    """
    CREATE TABLE reprovisioning (
        reprovision_id TEXT COLLATE "C" NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        mode TEXT COLLATE "C" NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
        requested_at TIMESTAMPTZ NOT NULL, deadline_at TIMESTAMPTZ NOT NULL, environment TEXT NOT NULL,
        template TEXT COLLATE "C", parameters JSONB NOT NULL, profile SMALLINT NOT NULL,
        state TEXT COLLATE "C" NOT NULL, waits_for TEXT NOT NULL, steps JSON NOT NULL DEFAULT '[]',
        before JSONB NOT NULL, finished_at TIMESTAMPTZ,
        CONSTRAINT pk_reprovisioning PRIMARY KEY (reprovision_id),
        CONSTRAINT fk_reprovisioning_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    """
    CREATE INDEX ix_reprovisioning_charger_id_requested_at ON reprovisioning (charger_id, requested_at)
    """,
    """
    CREATE UNIQUE INDEX ix_reprovisioning_open ON reprovisioning (charger_id) WHERE finished_at IS NULL
    """,
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
