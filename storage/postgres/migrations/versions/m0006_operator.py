"""Commands of people to single chargers, and the logs they ask for."""

from alembic import op

revision = "0006"
down_revision = "0003"

STATEMENTS = (
    """
    CREATE TABLE operator_command (
        command_id TEXT COLLATE "C" NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        command TEXT COLLATE "C" NOT NULL, parameters JSONB NOT NULL,
        request_sha256 TEXT COLLATE "C" NOT NULL, actor TEXT NOT NULL,
        requested_at TIMESTAMPTZ NOT NULL, deadline_at TIMESTAMPTZ NOT NULL,
        outcome JSONB, finished_at TIMESTAMPTZ,
        CONSTRAINT pk_operator_command PRIMARY KEY (command_id),
        CONSTRAINT fk_operator_command_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    """
    CREATE INDEX ix_operator_command_charger_id_requested_at
        ON operator_command (charger_id, requested_at)
    """,
    """
    CREATE TABLE log_request (
        request_id BIGINT NOT NULL, charger_id TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL,
        actor TEXT NOT NULL, requested_at TIMESTAMPTZ NOT NULL, deadline_at TIMESTAMPTZ NOT NULL,
        since TIMESTAMPTZ, until TIMESTAMPTZ, request_key TEXT COLLATE "C",
        state TEXT NOT NULL, reason TEXT NOT NULL, finished_at TIMESTAMPTZ,
        CONSTRAINT pk_log_request PRIMARY KEY (request_id),
        CONSTRAINT uq_log_request_request_key UNIQUE (request_key),
        CONSTRAINT fk_log_request_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    "CREATE INDEX ix_log_request_charger_id_requested_at ON log_request (charger_id, requested_at)",
    """
    CREATE TABLE log_upload (
        request_id BIGINT NOT NULL, object_key TEXT COLLATE "C" NOT NULL, filename TEXT NOT NULL,
        length BIGINT NOT NULL, sha256 TEXT COLLATE "C" NOT NULL, received_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_log_upload PRIMARY KEY (request_id),
        CONSTRAINT uq_log_upload_object_key UNIQUE (object_key),
        CONSTRAINT fk_log_upload_request_id FOREIGN KEY (request_id) REFERENCES log_request (request_id)
    )
    """,
    """
    CREATE TABLE upload_ticket (
        ticket_sha256 TEXT COLLATE "C" NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        request_id BIGINT NOT NULL, not_before TIMESTAMPTZ NOT NULL, expires_at TIMESTAMPTZ NOT NULL,
        revoked BOOLEAN DEFAULT false NOT NULL,
        CONSTRAINT pk_upload_ticket PRIMARY KEY (ticket_sha256),
        CONSTRAINT fk_upload_ticket_request_id FOREIGN KEY (request_id) REFERENCES log_request (request_id)
    )
    """,
    "CREATE INDEX ix_upload_ticket_request_id ON upload_ticket (request_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
