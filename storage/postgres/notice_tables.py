"""The tables of notices and webhooks; part of ``tables``. Triggers fill the first and the last."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from storage.postgres.columns import ROOMY, Name, flag, metadata, name, time, words

notice = sa.Table(
    "notice",
    metadata,
    sa.Column("notice_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    name("kind"),
    name("subject"),
    time("at"),
    sa.Column("data", JSONB, nullable=False),
    sa.Index(None, "at"),
)

webhook = sa.Table(
    "webhook",
    metadata,
    name("webhook_id", primary_key=True),
    words("url"),
    sa.Column("kinds", sa.ARRAY(Name), nullable=False),
    words("created_by"),
    time("created_at"),
    sa.Column("secret_number", sa.Integer, nullable=False),
    time("old_secret_until", nullable=True),
    words("paused_by", nullable=True),
    sa.Column("failures", sa.Integer, nullable=False),
    time("retry_at", nullable=True),
    words("last_error"),
    time("held_until", nullable=True),
)

webhook_delivery = sa.Table(
    "webhook_delivery",
    metadata,
    name("webhook_id"),
    sa.Column("notice_id", sa.BigInteger, sa.ForeignKey("notice.notice_id"), nullable=False),
    words("state"),
    sa.Column("attempts", sa.Integer, nullable=False),
    time("ended_at", nullable=True),
    words("last_error"),
    # The notice's. "" where it was delivered before there was this column: nobody asks it of those.
    name("subject", server_default=sa.text("''")),
    flag("urgent"),
    time("retry_at", nullable=True),
    sa.PrimaryKeyConstraint("webhook_id", "notice_id"),
    postgresql_with=ROOMY,
)
_OF = webhook_delivery.c
_WAITS = _OF.state == "waiting"
sa.Index("ix_webhook_delivery_waiting", _OF.webhook_id, _OF.notice_id, postgresql_where=_WAITS)
sa.Index("ix_webhook_delivery_subject", _OF.webhook_id, _OF.subject, _OF.notice_id, postgresql_where=_WAITS)
# Three that are nearly always nearly empty.
sa.Index(
    "ix_webhook_delivery_urgent",
    _OF.webhook_id,
    _OF.subject,
    postgresql_where=sa.and_(_WAITS, _OF.urgent),
)
sa.Index(
    "ix_webhook_delivery_retried",
    _OF.webhook_id,
    _OF.subject,
    postgresql_where=sa.and_(_WAITS, _OF.retry_at.is_not(None)),
)
sa.Index("ix_webhook_delivery_given_up", _OF.webhook_id, postgresql_where=_OF.state == "given_up")
sa.Index("ix_webhook_delivery_notice_id", _OF.notice_id)
