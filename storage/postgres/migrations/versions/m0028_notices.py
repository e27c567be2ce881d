"""Notices, written by triggers in the transactions that they tell of, and the webhooks to which they go."""

from alembic import op

revision = "0028"
down_revision = "0016"

STATEMENTS = (
    """
    CREATE TABLE notice (
        notice_id BIGINT GENERATED ALWAYS AS IDENTITY, kind TEXT COLLATE "C" NOT NULL,
        subject TEXT COLLATE "C" NOT NULL, at TIMESTAMPTZ NOT NULL, data JSONB NOT NULL,
        CONSTRAINT pk_notice PRIMARY KEY (notice_id)
    )
    """,
    "CREATE INDEX ix_notice_at ON notice (at)",
    """
    CREATE TABLE webhook (
        webhook_id TEXT COLLATE "C" NOT NULL, url TEXT NOT NULL, kinds TEXT[] COLLATE "C" NOT NULL,
        created_by TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL, secret_number INTEGER NOT NULL,
        old_secret_until TIMESTAMPTZ, paused_by TEXT, failures INTEGER NOT NULL, retry_at TIMESTAMPTZ,
        last_error TEXT NOT NULL, held_until TIMESTAMPTZ,
        CONSTRAINT pk_webhook PRIMARY KEY (webhook_id)
    )
    """,
    # No foreign key to webhook: one that is removed at this moment must not fail a campaign's transaction.
    """
    CREATE TABLE webhook_delivery (
        webhook_id TEXT COLLATE "C" NOT NULL, notice_id BIGINT NOT NULL, state TEXT NOT NULL,
        attempts INTEGER NOT NULL, ended_at TIMESTAMPTZ, last_error TEXT NOT NULL,
        CONSTRAINT pk_webhook_delivery PRIMARY KEY (webhook_id, notice_id),
        CONSTRAINT fk_webhook_delivery_notice_id FOREIGN KEY (notice_id) REFERENCES notice (notice_id)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE INDEX ix_webhook_delivery_waiting ON webhook_delivery (webhook_id, notice_id)
    WHERE state = 'waiting'
    """,
    "CREATE INDEX ix_webhook_delivery_notice_id ON webhook_delivery (notice_id)",
    # "told" is a webhook's id: a test goes to that one alone.
    """
    CREATE FUNCTION tell(what text, whom text, said jsonb, told text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql AS $$
    DECLARE
        hooks text[];
        made bigint;
    BEGIN
        SELECT array_agg(webhook_id) INTO hooks FROM webhook
        WHERE CASE WHEN told IS NULL THEN kinds = '{}' OR what = ANY (kinds) ELSE webhook_id = told END;
        IF hooks IS NULL THEN
            RETURN NULL;
        END IF;
        INSERT INTO notice (kind, subject, at, data) VALUES (what, whom, clock_timestamp(), said)
        RETURNING notice_id INTO made;
        INSERT INTO webhook_delivery (webhook_id, notice_id, state, attempts, last_error)
        SELECT hook, made, 'waiting', 0, '' FROM unnest(hooks) AS hook;
        PERFORM pg_notify('notices', '');
        RETURN made;
    END $$
    """,
    """
    CREATE FUNCTION tell_of_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM tell('campaign.phase_changed', 'campaign/' || NEW.campaign_id, jsonb_build_object(
            'campaign_id', NEW.campaign_id, 'name', NEW.plan->>'name', 'phase', NEW.phase,
            'phase_before', CASE WHEN TG_OP = 'UPDATE' THEN OLD.phase END, 'reason', NEW.reason,
            'chargers', NEW.cohort_size));
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER tell_of_new_campaign AFTER INSERT ON campaign
    FOR EACH ROW EXECUTE FUNCTION tell_of_campaign()
    """,
    """
    CREATE TRIGGER tell_of_campaign AFTER UPDATE ON campaign
    FOR EACH ROW WHEN (OLD.phase IS DISTINCT FROM NEW.phase) EXECUTE FUNCTION tell_of_campaign()
    """,
    """
    CREATE FUNCTION tell_of_decision() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM tell('campaign.wave_judged', 'campaign/' || NEW.campaign_id, jsonb_build_object(
            'campaign_id', NEW.campaign_id, 'wave', NEW.wave, 'look', NEW.look, 'judged', NEW.kind,
            'verdict', NEW.verdict, 'reason', NEW.reason, 'record_sha256', NEW.result_sha256));
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER tell_of_decision AFTER INSERT ON decision
    FOR EACH ROW EXECUTE FUNCTION tell_of_decision()
    """,
    # A charger is reserved before it is drained (X15). The word is OCPI 2.2.1's for an EVSE in maintenance.
    """
    CREATE FUNCTION tell_of_maintenance() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        moved record;
    BEGIN
        FOR moved IN
            SELECT new_row.*, new_row.phase NOT IN ('pending', 'waiting', 'done') AS away
            FROM after_change new_row
            JOIN before_change old_row USING (campaign_id, wave, charger_id)
            WHERE (old_row.phase IN ('pending', 'waiting', 'done'))
               <> (new_row.phase IN ('pending', 'waiting', 'done'))
        LOOP
            PERFORM tell(
                CASE WHEN moved.away THEN 'charger.maintenance_planned' ELSE 'charger.maintenance_ended' END,
                'charger/' || moved.charger_id,
                jsonb_build_object(
                    'charger_id', moved.charger_id, 'site_id', moved.site_id,
                    'campaign_id', moved.campaign_id, 'wave', moved.wave,
                    'from_version', moved.from_version, 'to_version', moved.to_version,
                    'reason', moved.reason)
                || CASE WHEN moved.away THEN jsonb_build_object(
                    'ocpi_status', 'INOPERATIVE',
                    'ends_at_latest', clock_timestamp() + make_interval(secs => (
                        SELECT (plan->'pace'->>'attempt_deadline_seconds')::float FROM campaign
                        WHERE campaign_id = moved.campaign_id)))
                ELSE jsonb_build_object('outcome', moved.outcome) END);
        END LOOP;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER tell_of_maintenance AFTER UPDATE ON campaign_target
    REFERENCING OLD TABLE AS before_change NEW TABLE AS after_change
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_maintenance()
    """,
    """
    CREATE FUNCTION tell_of_incident() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM tell(
            CASE WHEN NEW.closed_at IS NULL THEN 'incident.opened' ELSE 'incident.closed' END,
            NEW.subject,
            jsonb_build_object(
                'incident_id', NEW.incident_id, 'kind', NEW.kind, 'subject', NEW.subject,
                'summary', NEW.summary, 'closed_by', NEW.closed_by, 'close_reason', NEW.close_reason));
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER tell_of_new_incident AFTER INSERT ON incident
    FOR EACH ROW EXECUTE FUNCTION tell_of_incident()
    """,
    """
    CREATE TRIGGER tell_of_incident AFTER UPDATE ON incident
    FOR EACH ROW WHEN (OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL)
    EXECUTE FUNCTION tell_of_incident()
    """,
    """
    CREATE FUNCTION tell_of_halt() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM tell(
            CASE WHEN NEW.lifted_at IS NULL THEN 'halt.pulled' ELSE 'halt.lifted' END,
            'halt/' || NEW.halt_id,
            jsonb_build_object(
                'halt_id', NEW.halt_id, 'scope', NEW.scope, 'actor', NEW.actor, 'reason', NEW.reason));
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER tell_of_new_halt AFTER INSERT ON halt FOR EACH ROW EXECUTE FUNCTION tell_of_halt()",
    """
    CREATE TRIGGER tell_of_halt AFTER UPDATE ON halt
    FOR EACH ROW WHEN (OLD.lifted_at IS NULL AND NEW.lifted_at IS NOT NULL)
    EXECUTE FUNCTION tell_of_halt()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
