"""Chargers' certificates: issued, asked for, revoked; and what is said of them to whoever asks."""

from alembic import op

revision = "0024"
down_revision = "0026"

STATEMENTS = (
    """
    CREATE TABLE certificate (
        charger_id TEXT COLLATE "C" NOT NULL, serial TEXT COLLATE "C" NOT NULL,
        issuer TEXT COLLATE "C" NOT NULL, key_sha256 TEXT COLLATE "C" NOT NULL, chain TEXT NOT NULL,
        not_before TIMESTAMPTZ NOT NULL, not_after TIMESTAMPTZ NOT NULL, issued_at TIMESTAMPTZ NOT NULL,
        issued_by TEXT NOT NULL, phase TEXT NOT NULL, delivered_at TIMESTAMPTZ, proven_at TIMESTAMPTZ,
        revoked_at TIMESTAMPTZ, reason TEXT NOT NULL, request BIGINT,
        CONSTRAINT pk_certificate PRIMARY KEY (charger_id, serial),
        CONSTRAINT fk_certificate_charger_id_charger FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    "CREATE INDEX ix_certificate_ends ON certificate (not_after, charger_id, serial)",
    "CREATE INDEX ix_certificate_serial ON certificate (serial)",
    "CREATE UNIQUE INDEX uq_certificate_key ON certificate (charger_id, key_sha256) WHERE key_sha256 <> ''",
    "CREATE INDEX ix_certificate_key_sha256 ON certificate (key_sha256)",
    "CREATE INDEX ix_certificate_revoked ON certificate (revoked_at) WHERE revoked_at IS NOT NULL",
    """
    CREATE TABLE certificate_request (
        sequence BIGINT NOT NULL, charger_id TEXT COLLATE "C" NOT NULL, state TEXT NOT NULL,
        reasons TEXT[] NOT NULL, at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_certificate_request PRIMARY KEY (sequence)
    )
    """,
    """
    CREATE TABLE revocation_list (
        issuer TEXT COLLATE "C" NOT NULL, number BIGINT NOT NULL, der BYTEA NOT NULL,
        this_update TIMESTAMPTZ NOT NULL, next_update TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_revocation_list PRIMARY KEY (issuer)
    )
    """,
    """
    CREATE TABLE status_answer (
        serial TEXT COLLATE "C" NOT NULL, issuer TEXT COLLATE "C" NOT NULL, der BYTEA NOT NULL,
        phase TEXT NOT NULL, next_update TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_status_answer PRIMARY KEY (serial)
    )
    """,
    # Only requests of certificates are in it, so it costs no other event anything.
    """
    CREATE INDEX ix_event_signing_requested ON event (received_at, sequence)
    WHERE kind = 'certificate_signing_requested'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
