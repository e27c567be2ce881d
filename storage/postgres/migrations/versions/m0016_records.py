"""Halts that one person makes and two lift, and the evidence that belongs to an artifact."""

from alembic import op

revision = "0016"
down_revision = "0015"

STATEMENTS = (
    """
    CREATE TABLE halt (
        halt_id BIGINT GENERATED ALWAYS AS IDENTITY, scope TEXT COLLATE "C" NOT NULL,
        actor TEXT NOT NULL, reason TEXT NOT NULL, at TIMESTAMPTZ NOT NULL, lifted_at TIMESTAMPTZ,
        recorded BOOLEAN DEFAULT false NOT NULL,
        CONSTRAINT pk_halt PRIMARY KEY (halt_id)
    )
    """,
    "CREATE UNIQUE INDEX uq_halt_in_force ON halt (scope) WHERE lifted_at IS NULL",
    """
    CREATE TABLE halt_vote (
        halt_id BIGINT NOT NULL, actor TEXT COLLATE "C" NOT NULL, reason TEXT NOT NULL,
        at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_halt_vote PRIMARY KEY (halt_id, actor),
        CONSTRAINT fk_halt_vote_halt_id_halt FOREIGN KEY (halt_id) REFERENCES halt (halt_id)
    )
    """,
    """
    CREATE FUNCTION halts_stay() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'halts are lifted by two people, never removed';
    END $$
    """,
    """
    CREATE TRIGGER halts_stay BEFORE DELETE OR TRUNCATE ON halt
    FOR EACH STATEMENT EXECUTE FUNCTION halts_stay()
    """,
    "ALTER TABLE artifact ADD COLUMN evidence JSONB DEFAULT '[]' NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
