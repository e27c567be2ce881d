"""Chargers that we took out of service are remembered until they are back; leases name their run."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    """
    CREATE TABLE out_of_service (
        charger_id TEXT COLLATE "C" NOT NULL, site_id TEXT COLLATE "C" NOT NULL,
        before TEXT[] NOT NULL, since TIMESTAMPTZ NOT NULL, cause TEXT NOT NULL,
        CONSTRAINT pk_out_of_service PRIMARY KEY (charger_id),
        CONSTRAINT fk_out_of_service_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id),
        CONSTRAINT fk_out_of_service_site_id FOREIGN KEY (site_id) REFERENCES site (site_id)
    )
    """,
    "CREATE INDEX ix_out_of_service_site_id ON out_of_service (site_id)",
    """ALTER TABLE site_lease ADD COLUMN run TEXT COLLATE "C" DEFAULT '' NOT NULL""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
