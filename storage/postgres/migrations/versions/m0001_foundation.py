"""The foundation: fleet, twins, events and outbox, artifacts, campaigns, people."""

from alembic import op

revision = "0001"
down_revision = None  # forward only: a mistake is mended by the next migration

BASICS = (
    """
    CREATE FUNCTION unpacked(packed text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN string_to_array(packed, E'\\x1f', '')
    """,
    "CREATE SEQUENCE event_sequence",
    "CREATE SEQUENCE frame_number",
    "CREATE SEQUENCE request_id MAXVALUE 2147483647",
)

FLEET = (
    """
    CREATE TABLE site (
        site_id TEXT COLLATE "C" NOT NULL, name TEXT NOT NULL, time_zone TEXT NOT NULL,
        max_down INTEGER NOT NULL,
        CONSTRAINT pk_site PRIMARY KEY (site_id),
        CONSTRAINT ck_site_max_down CHECK (max_down >= 0)
    )
    """,
    """
    CREATE TABLE model_profile (
        vendor TEXT COLLATE "C" NOT NULL, model TEXT COLLATE "C" NOT NULL,
        signature_scheme TEXT NOT NULL, unsafe_unsigned_waiver TEXT,
        needs_reset_after_install BOOLEAN DEFAULT false NOT NULL, reboot_seconds INTEGER NOT NULL,
        CONSTRAINT pk_model_profile PRIMARY KEY (vendor, model)
    )
    """,
    """
    CREATE TABLE charger (
        charger_id TEXT COLLATE "C" NOT NULL, site_id TEXT COLLATE "C" NOT NULL,
        vendor TEXT COLLATE "C" NOT NULL, model TEXT COLLATE "C" NOT NULL,
        lifecycle TEXT NOT NULL, serial_number TEXT, hardware_revision TEXT,
        registered_at TIMESTAMPTZ,
        CONSTRAINT pk_charger PRIMARY KEY (charger_id),
        CONSTRAINT fk_charger_site_id FOREIGN KEY (site_id) REFERENCES site (site_id)
    )
    """,
    "CREATE INDEX ix_charger_site_id ON charger (site_id)",
    "CREATE INDEX ix_charger_vendor_model ON charger (vendor, model)",
    """
    CREATE TABLE charger_credential (
        charger_id TEXT COLLATE "C" NOT NULL, secret_hmac BYTEA NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_charger_credential PRIMARY KEY (charger_id),
        CONSTRAINT fk_charger_credential_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    )
    """,
    """
    CREATE TABLE charger_route (
        charger_id TEXT COLLATE "C" NOT NULL, session_epoch BIGINT NOT NULL,
        lease_until TIMESTAMPTZ, node_id TEXT COLLATE "C" NOT NULL,
        boot_id TEXT COLLATE "C" NOT NULL, dialect TEXT NOT NULL,
        CONSTRAINT pk_charger_route PRIMARY KEY (charger_id),
        CONSTRAINT fk_charger_route_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE site_lease (
        charger_id TEXT COLLATE "C" NOT NULL, site_id TEXT COLLATE "C" NOT NULL,
        workflow_id TEXT COLLATE "C" NOT NULL, kind TEXT NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL, request_id BIGINT, wake_on TEXT[] NOT NULL,
        CONSTRAINT pk_site_lease PRIMARY KEY (charger_id),
        CONSTRAINT fk_site_lease_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id),
        CONSTRAINT fk_site_lease_site_id FOREIGN KEY (site_id) REFERENCES site (site_id)
    )
    """,
    "CREATE INDEX ix_site_lease_site_id ON site_lease (site_id)",
)

TWINS = (
    """
    CREATE TABLE twin (
        charger_id TEXT COLLATE "C" NOT NULL, revision BIGINT DEFAULT 0 NOT NULL,
        last_message_at TIMESTAMPTZ, online BOOLEAN DEFAULT false NOT NULL,
        charging BOOLEAN DEFAULT false NOT NULL, faulted BOOLEAN DEFAULT false NOT NULL,
        firmware_version TEXT,
        CONSTRAINT pk_twin PRIMARY KEY (charger_id),
        CONSTRAINT fk_twin_charger_id FOREIGN KEY (charger_id) REFERENCES charger (charger_id)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE twin_section (
        charger_id TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, reported JSONB,
        reported_version BIGINT DEFAULT 0 NOT NULL, desired JSONB, desired_version BIGINT,
        acked_version BIGINT, ack_status TEXT,
        CONSTRAINT pk_twin_section PRIMARY KEY (charger_id, name),
        CONSTRAINT fk_twin_section_charger_id FOREIGN KEY (charger_id) REFERENCES twin (charger_id)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE twin_history (
        charger_id TEXT COLLATE "C" NOT NULL, revision BIGINT NOT NULL,
        observed_at TIMESTAMPTZ NOT NULL, received_at TIMESTAMPTZ NOT NULL,
        section TEXT COLLATE "C" NOT NULL, side TEXT COLLATE "C" DEFAULT 'reported' NOT NULL,
        actor TEXT NOT NULL, cause TEXT NOT NULL, patch JSONB NOT NULL,
        CONSTRAINT pk_twin_history PRIMARY KEY (charger_id, revision, section, side)
    )
    """,
)

EVENTS = (
    """
    CREATE TABLE frame (
        at TIMESTAMPTZ NOT NULL, frame_id BIGINT DEFAULT nextval('frame_number') NOT NULL,
        session_epoch BIGINT NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        direction TEXT COLLATE "C" NOT NULL, text TEXT NOT NULL,
        CONSTRAINT pk_frame PRIMARY KEY (charger_id, at, frame_id)
    ) PARTITION BY RANGE (at)
    """,
    """
    CREATE TABLE event (
        sequence BIGINT NOT NULL, session_epoch BIGINT NOT NULL, observed_at TIMESTAMPTZ NOT NULL,
        received_at TIMESTAMPTZ NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        kind TEXT COLLATE "C" NOT NULL, dedupe_key TEXT COLLATE "C", body JSONB NOT NULL,
        CONSTRAINT pk_event PRIMARY KEY (sequence)
    )
    """,
    "CREATE INDEX ix_event_timeline ON event (charger_id, received_at, sequence)",
    "CREATE UNIQUE INDEX uq_event_dedupe ON event (charger_id, dedupe_key) WHERE dedupe_key IS NOT NULL",
    """
    CREATE TABLE transaction_id (
        transaction_id INTEGER GENERATED ALWAYS AS IDENTITY,
        charger_id TEXT COLLATE "C" NOT NULL, start_key TEXT COLLATE "C" NOT NULL,
        CONSTRAINT pk_transaction_id PRIMARY KEY (transaction_id),
        CONSTRAINT uq_transaction_id_charger_id_start_key UNIQUE (charger_id, start_key)
    )
    """,
    """
    CREATE TABLE outbox (
        outbox_id BIGINT GENERATED ALWAYS AS IDENTITY, sequence BIGINT NOT NULL,
        session_epoch BIGINT NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        workflow_id TEXT COLLATE "C" NOT NULL, node_id TEXT COLLATE "C" NOT NULL,
        boot_id TEXT COLLATE "C" NOT NULL,
        CONSTRAINT pk_outbox PRIMARY KEY (outbox_id),
        CONSTRAINT fk_outbox_sequence FOREIGN KEY (sequence) REFERENCES event (sequence) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_outbox_charger_id_outbox_id ON outbox (charger_id, outbox_id)",
)

ARTIFACTS = (
    """
    CREATE TABLE artifact (
        artifact_id TEXT COLLATE "C" NOT NULL, vendor_role TEXT COLLATE "C" NOT NULL,
        version TEXT COLLATE "C" NOT NULL, release_counter BIGINT NOT NULL,
        length BIGINT NOT NULL, compatible JSONB NOT NULL, vendor_signatures JSON NOT NULL,
        phase TEXT NOT NULL, reason TEXT NOT NULL, filename TEXT NOT NULL,
        uploaded_by TEXT NOT NULL, uploaded_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_artifact PRIMARY KEY (artifact_id),
        CONSTRAINT uq_artifact_vendor_role_version UNIQUE (vendor_role, version)
    )
    """,
    "CREATE INDEX ix_artifact_uploaded_at_artifact_id ON artifact (uploaded_at, artifact_id)",
    """
    CREATE TABLE staged_release (
        artifact_id TEXT COLLATE "C" NOT NULL, role TEXT COLLATE "C" NOT NULL,
        version BIGINT NOT NULL, payload BYTEA NOT NULL, sha256 TEXT COLLATE "C" NOT NULL,
        threshold SMALLINT NOT NULL, keyids TEXT[] NOT NULL,
        CONSTRAINT pk_staged_release PRIMARY KEY (artifact_id),
        CONSTRAINT fk_staged_release_artifact_id FOREIGN KEY (artifact_id) REFERENCES artifact (artifact_id)
    )
    """,
    """
    CREATE TABLE sign_off (
        artifact_id TEXT COLLATE "C" NOT NULL, staged_sha256 TEXT COLLATE "C" NOT NULL,
        keyid TEXT COLLATE "C" NOT NULL, signature TEXT NOT NULL, signer TEXT NOT NULL,
        signed_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_sign_off PRIMARY KEY (artifact_id, staged_sha256, keyid),
        CONSTRAINT fk_sign_off_artifact_id FOREIGN KEY (artifact_id) REFERENCES artifact (artifact_id)
    )
    """,
)

CAMPAIGNS = (
    """
    CREATE TABLE campaign (
        campaign_id TEXT COLLATE "C" NOT NULL, plan JSON NOT NULL,
        plan_digest TEXT COLLATE "C" NOT NULL, phase TEXT NOT NULL, reason TEXT NOT NULL,
        created_by TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL, finished_at TIMESTAMPTZ,
        cohort_size INTEGER NOT NULL,
        CONSTRAINT pk_campaign PRIMARY KEY (campaign_id)
    )
    """,
    "CREATE INDEX ix_campaign_created_at_campaign_id ON campaign (created_at, campaign_id)",
    """
    CREATE TABLE campaign_approval (
        campaign_id TEXT COLLATE "C" NOT NULL, actor TEXT COLLATE "C" NOT NULL,
        plan_digest TEXT COLLATE "C" NOT NULL, at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_campaign_approval PRIMARY KEY (campaign_id, actor, plan_digest),
        CONSTRAINT fk_campaign_approval_campaign_id
            FOREIGN KEY (campaign_id) REFERENCES campaign (campaign_id)
    )
    """,
    """
    CREATE TABLE campaign_target (
        campaign_id TEXT COLLATE "C" NOT NULL, wave INTEGER NOT NULL, ordinal INTEGER NOT NULL,
        charger_id TEXT COLLATE "C" NOT NULL, site_id TEXT COLLATE "C" NOT NULL,
        artifact_id TEXT COLLATE "C" NOT NULL, from_version TEXT, to_version TEXT NOT NULL,
        phase TEXT NOT NULL, outcome TEXT, reason TEXT NOT NULL, attempt INTEGER NOT NULL,
        request_id BIGINT, dispatched_at TIMESTAMPTZ, finished_at TIMESTAMPTZ,
        deferred_for_session BOOLEAN DEFAULT false NOT NULL,
        CONSTRAINT pk_campaign_target PRIMARY KEY (campaign_id, wave, charger_id),
        CONSTRAINT uq_campaign_target_campaign_id_wave_ordinal UNIQUE (campaign_id, wave, ordinal),
        CONSTRAINT fk_campaign_target_campaign_id FOREIGN KEY (campaign_id) REFERENCES campaign (campaign_id)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE INDEX ix_campaign_target_finished ON campaign_target (charger_id, finished_at)
    WHERE finished_at IS NOT NULL
    """,
    """
    CREATE TABLE campaign_exclusion (
        campaign_id TEXT COLLATE "C" NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        reason TEXT NOT NULL,
        CONSTRAINT pk_campaign_exclusion PRIMARY KEY (campaign_id, charger_id),
        CONSTRAINT fk_campaign_exclusion_campaign_id
            FOREIGN KEY (campaign_id) REFERENCES campaign (campaign_id)
    )
    """,
    """
    CREATE TABLE decision (
        campaign_id TEXT COLLATE "C" NOT NULL, wave INTEGER NOT NULL, look INTEGER NOT NULL,
        kind TEXT COLLATE "C" NOT NULL, decided_at TIMESTAMPTZ NOT NULL, verdict TEXT NOT NULL,
        reason TEXT NOT NULL, inputs JSON NOT NULL, inputs_sha256 TEXT COLLATE "C" NOT NULL,
        result JSON NOT NULL, result_sha256 TEXT COLLATE "C" NOT NULL,
        CONSTRAINT pk_decision PRIMARY KEY (campaign_id, wave, look, kind),
        CONSTRAINT fk_decision_campaign_id FOREIGN KEY (campaign_id) REFERENCES campaign (campaign_id)
    )
    """,
    """
    CREATE TABLE directive (
        directive_id TEXT COLLATE "C" NOT NULL, added BIGINT GENERATED ALWAYS AS IDENTITY,
        campaign_id TEXT COLLATE "C" NOT NULL, wave INTEGER NOT NULL, shard INTEGER NOT NULL,
        envelope BYTEA NOT NULL,
        CONSTRAINT pk_directive PRIMARY KEY (directive_id),
        CONSTRAINT fk_directive_campaign_id FOREIGN KEY (campaign_id) REFERENCES campaign (campaign_id)
    )
    """,
    "CREATE INDEX ix_directive_campaign_id_wave_shard_added ON directive (campaign_id, wave, shard, added)",
    """
    CREATE TABLE directive_use (
        directive_id TEXT COLLATE "C" NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        request_id BIGINT NOT NULL,
        CONSTRAINT pk_directive_use PRIMARY KEY (directive_id, charger_id),
        CONSTRAINT fk_directive_use_directive_id
            FOREIGN KEY (directive_id) REFERENCES directive (directive_id)
    )
    """,
    """
    CREATE TABLE download_ticket (
        ticket_sha256 TEXT COLLATE "C" NOT NULL, charger_id TEXT COLLATE "C" NOT NULL,
        artifact_sha256 TEXT COLLATE "C" NOT NULL, not_before TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL, revoked BOOLEAN DEFAULT false NOT NULL,
        CONSTRAINT pk_download_ticket PRIMARY KEY (ticket_sha256)
    )
    """,
    "CREATE INDEX ix_download_ticket_charger_id ON download_ticket (charger_id)",
)

PEOPLE = (
    """
    CREATE TABLE audit (
        number BIGINT NOT NULL, at TIMESTAMPTZ NOT NULL, actor TEXT NOT NULL,
        action TEXT NOT NULL, subject TEXT NOT NULL, detail JSON NOT NULL,
        previous_hash TEXT COLLATE "C" NOT NULL, row_hash TEXT COLLATE "C" NOT NULL,
        CONSTRAINT pk_audit PRIMARY KEY (number),
        CONSTRAINT uq_audit_previous_hash UNIQUE (previous_hash)
    )
    """,
    """
    CREATE TABLE audit_head (
        singleton BOOLEAN DEFAULT true NOT NULL, number BIGINT NOT NULL,
        row_hash TEXT COLLATE "C" NOT NULL,
        CONSTRAINT pk_audit_head PRIMARY KEY (singleton),
        CONSTRAINT ck_audit_head_one_row CHECK (singleton)
    )
    """,
    """
    CREATE TABLE token (
        token_id TEXT COLLATE "C" NOT NULL, secret_sha256 TEXT COLLATE "C" NOT NULL,
        name TEXT NOT NULL, role TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ, revoked_at TIMESTAMPTZ,
        CONSTRAINT pk_token PRIMARY KEY (token_id),
        CONSTRAINT uq_token_secret_sha256 UNIQUE (secret_sha256)
    )
    """,
)

GUARDS = (
    "CREATE TABLE frame_default PARTITION OF frame DEFAULT",
    "INSERT INTO audit_head (number, row_hash) VALUES (0, repeat('0', 64))",
    """
    CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit log is append-only';
    END $$
    """,
    """
    CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
    """,
)


def upgrade() -> None:
    for statement in (*BASICS, *FLEET, *TWINS, *EVENTS, *ARTIFACTS, *CAMPAIGNS, *PEOPLE, *GUARDS):
        op.execute(statement)
