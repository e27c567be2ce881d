"""Notices go in order for each subject and not for a whole webhook, and are written without NOTIFY.

Of all transactions of a cluster that notify, PostgreSQL lets one commit at a time, wait for the disk and for
standbys included: where a commit takes 20 ms, 15 writers of notices made 50 a second, and 700 without. The
herald looks for itself.
"""

from alembic import op

revision = "0077"
down_revision = "0076"

STATEMENTS = (
    """
    ALTER TABLE webhook_delivery
        ADD COLUMN subject TEXT COLLATE "C" DEFAULT '' NOT NULL,
        ADD COLUMN urgent BOOLEAN DEFAULT false NOT NULL,
        ADD COLUMN retry_at TIMESTAMPTZ
    """,
    # What was delivered is not asked for its subject.
    """
    UPDATE webhook_delivery d SET subject = n.subject, urgent = n.kind NOT LIKE 'charger.maintenance%'
    FROM notice n WHERE n.notice_id = d.notice_id AND d.state <> 'delivered'
    """,
    """
    CREATE INDEX ix_webhook_delivery_subject ON webhook_delivery (webhook_id, subject, notice_id)
    WHERE state = 'waiting'
    """,
    """
    CREATE INDEX ix_webhook_delivery_urgent ON webhook_delivery (webhook_id, subject)
    WHERE state = 'waiting' AND urgent
    """,
    """
    CREATE INDEX ix_webhook_delivery_retried ON webhook_delivery (webhook_id, subject)
    WHERE state = 'waiting' AND retry_at IS NOT NULL
    """,
    """
    CREATE INDEX ix_webhook_delivery_given_up ON webhook_delivery (webhook_id) WHERE state = 'given_up'
    """,
    # A campaign makes thousands of notices of maintenance; all others are urgent (storage.notice.BULK).
    """
    CREATE OR REPLACE FUNCTION tell(what text, whom text, said jsonb, told text DEFAULT NULL) RETURNS bigint
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
        INSERT INTO webhook_delivery (webhook_id, notice_id, subject, urgent, state, attempts, last_error)
        SELECT hook, made, whom, what NOT LIKE 'charger.maintenance%', 'waiting', 0, ''
        FROM unnest(hooks) AS hook;
        RETURN made;
    END $$
    """,
)


def upgrade() -> None:
    """Apply the statements in order."""
    for statement in STATEMENTS:
        op.execute(statement)
