"""Retirements, tombstones, and the passwords that chargers had before."""

from alembic import op

revision = "0026"
down_revision = "0019"

STATEMENTS = (
    """
    CREATE TABLE retirement (
        charger_id TEXT COLLATE "C" NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
        requested_at TIMESTAMPTZ NOT NULL, deadline_at TIMESTAMPTZ NOT NULL, state TEXT NOT NULL,
        waits_for TEXT NOT NULL, steps JSON DEFAULT '[]' NOT NULL, finished_at TIMESTAMPTZ,
        receipt_sha256 TEXT COLLATE "C",
        CONSTRAINT pk_retirement PRIMARY KEY (charger_id),
        CONSTRAINT fk_retirement_charger_id_charger FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    """
    CREATE TABLE tombstone (
        kind TEXT COLLATE "C" NOT NULL, digest TEXT COLLATE "C" NOT NULL,
        charger_id TEXT COLLATE "C" NOT NULL, since TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_tombstone PRIMARY KEY (kind, digest)
    )
    """,
    "CREATE INDEX ix_tombstone_charger_id ON tombstone (charger_id)",
    """
    CREATE FUNCTION tombstones_stay() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'what a retired charger had is never given out again';
    END $$
    """,
    """
    CREATE TRIGGER tombstones_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON tombstone
    FOR EACH STATEMENT EXECUTE FUNCTION tombstones_stay()
    """,
    """
    CREATE TABLE credential_past (
        kind TEXT COLLATE "C" NOT NULL, digest TEXT COLLATE "C" NOT NULL,
        charger_id TEXT COLLATE "C" NOT NULL, since TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_credential_past PRIMARY KEY (kind, digest, charger_id)
    )
    """,
    "CREATE INDEX ix_credential_past_charger_id ON credential_past (charger_id)",
    """
    CREATE FUNCTION remember_credential() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO credential_past (kind, digest, charger_id, since)
        SELECT 'password', encode(secret, 'hex'), NEW.charger_id, now()
        FROM unnest(ARRAY[NEW.secret_hmac, NEW.pending_hmac]) AS secret WHERE secret IS NOT NULL
        ON CONFLICT DO NOTHING;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER remember_credential AFTER INSERT OR UPDATE ON charger_credential
    FOR EACH ROW EXECUTE FUNCTION remember_credential()
    """,
    """
    INSERT INTO credential_past (kind, digest, charger_id, since)
    SELECT 'password', encode(secret, 'hex'), c.charger_id, c.created_at
    FROM charger_credential c, unnest(ARRAY[c.secret_hmac, c.pending_hmac]) AS secret
    WHERE secret IS NOT NULL ON CONFLICT DO NOTHING
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
