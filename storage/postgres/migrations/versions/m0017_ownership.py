"""Whose a charger is and where it belongs, and every move of it."""

from alembic import op

revision = "0017"
down_revision = "0028"

STATEMENTS = (
    """
    ALTER TABLE charger
        ADD COLUMN operator TEXT, ADD COLUMN site_group TEXT, ADD COLUMN location TEXT,
        ADD COLUMN installer TEXT, ADD COLUMN ownership_version BIGINT DEFAULT 1 NOT NULL
    """,
    """
    CREATE TABLE charger_move (
        move_id TEXT COLLATE "C" NOT NULL,
        charger_id TEXT COLLATE "C" NOT NULL,
        expected_version BIGINT NOT NULL,
        "values" JSONB NOT NULL,
        before JSONB NOT NULL,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        state TEXT COLLATE "C" NOT NULL,
        why TEXT NOT NULL,
        requested_at TIMESTAMPTZ NOT NULL,
        finished_at TIMESTAMPTZ,
        CONSTRAINT pk_charger_move PRIMARY KEY (move_id),
        CONSTRAINT fk_charger_move_charger_id_charger FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    "CREATE INDEX ix_charger_move_charger_id_requested_at ON charger_move (charger_id, requested_at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
