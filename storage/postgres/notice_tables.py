"""The tables of notices and webhooks; part of ``tables``. Triggers of migration 0028 fill the first two."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from storage.postgres.columns import ROOMY, Name, metadata, name, time, words

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
    sa.PrimaryKeyConstraint("webhook_id", "notice_id"),
    postgresql_with=ROOMY,
)
sa.Index(
    "ix_webhook_delivery_waiting",
    webhook_delivery.c.webhook_id,
    webhook_delivery.c.notice_id,
    postgresql_where=webhook_delivery.c.state == "waiting",
)
sa.Index("ix_webhook_delivery_notice_id", webhook_delivery.c.notice_id)
