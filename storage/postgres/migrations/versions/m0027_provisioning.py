"""Enrolments, claims of installers, the allow-list, templates, and what sites allow."""

from alembic import op

revision = "0027"
down_revision = "0023"

STATEMENTS = (
    """
    CREATE TABLE enrolment (
        charger_id TEXT COLLATE "C" NOT NULL, origin TEXT NOT NULL, actor TEXT NOT NULL,
        requested_at TIMESTAMPTZ NOT NULL, deadline_at TIMESTAMPTZ NOT NULL, environment TEXT NOT NULL,
        template TEXT COLLATE "C", parameters JSONB NOT NULL, profile SMALLINT NOT NULL, state TEXT NOT NULL,
        waits_for TEXT NOT NULL, credential_at TIMESTAMPTZ, asset JSONB NOT NULL, iccid TEXT COLLATE "C",
        attestations JSONB NOT NULL, checks JSONB NOT NULL, finished_at TIMESTAMPTZ, look_at TIMESTAMPTZ,
        CONSTRAINT pk_enrolment PRIMARY KEY (charger_id),
        CONSTRAINT fk_enrolment_charger_id_charger FOREIGN KEY (charger_id) REFERENCES charger (charger_id),
        CONSTRAINT uq_enrolment_iccid UNIQUE (iccid)
    )
    """,
    "CREATE INDEX ix_enrolment_open ON enrolment (requested_at) WHERE finished_at IS NULL",
    """
    CREATE TABLE installer_claim (
        claim_sha256 TEXT COLLATE "C" NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        site_id TEXT COLLATE "C" NOT NULL, serial_number TEXT NOT NULL, issued_to TEXT NOT NULL,
        issued_by TEXT NOT NULL, issued_at TIMESTAMPTZ NOT NULL, expires_at TIMESTAMPTZ NOT NULL,
        used_at TIMESTAMPTZ,
        CONSTRAINT pk_installer_claim PRIMARY KEY (claim_sha256),
        CONSTRAINT fk_installer_claim_charger_id_charger FOREIGN KEY (charger_id)
            REFERENCES charger (charger_id)
    )
    """,
    "CREATE INDEX ix_installer_claim_charger_id ON installer_claim (charger_id)",
    """
    CREATE TABLE factory_unit (
        vendor TEXT COLLATE "C" NOT NULL, serial_number TEXT COLLATE "C" NOT NULL,
        model TEXT COLLATE "C" NOT NULL, site_id TEXT COLLATE "C" NOT NULL,
        manifest_sha256 TEXT COLLATE "C" NOT NULL, hardware_revision TEXT, key_sha256 TEXT COLLATE "C",
        template TEXT COLLATE "C", profile SMALLINT NOT NULL,
        CONSTRAINT pk_factory_unit PRIMARY KEY (vendor, serial_number),
        CONSTRAINT fk_factory_unit_site_id_site FOREIGN KEY (site_id) REFERENCES site (site_id),
        CONSTRAINT uq_factory_unit_key_sha256 UNIQUE (key_sha256)
    )
    """,
    "CREATE INDEX ix_factory_unit_serial_number ON factory_unit (serial_number)",
    """
    CREATE TABLE stranger (
        key_sha256 TEXT COLLATE "C" NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        serial_number TEXT NOT NULL, address TEXT NOT NULL, first_seen TIMESTAMPTZ NOT NULL,
        last_seen TIMESTAMPTZ NOT NULL, times BIGINT NOT NULL,
        CONSTRAINT pk_stranger PRIMARY KEY (key_sha256)
    )
    """,
    """
    CREATE TABLE provisioning_template (
        name TEXT COLLATE "C" NOT NULL, body JSON NOT NULL, actor TEXT NOT NULL, at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_provisioning_template PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE site_constraint (
        site_id TEXT COLLATE "C" NOT NULL, constraints JSONB NOT NULL,
        CONSTRAINT pk_site_constraint PRIMARY KEY (site_id),
        CONSTRAINT fk_site_constraint_site_id_site FOREIGN KEY (site_id) REFERENCES site (site_id)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
