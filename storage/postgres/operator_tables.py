"""The tables about people's commands, their keys, and the logs they ask for; part of ``tables``."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from storage.postgres.columns import metadata, name, time, words

operator_command = sa.Table(
    "operator_command",
    metadata,
    name("command_id", primary_key=True),
    name("charger_id", sa.ForeignKey("charger.charger_id")),
    name("command"),
    sa.Column("parameters", JSONB, nullable=False),
    name("request_sha256"),
    words("actor"),
    time("requested_at"),
    time("deadline_at"),
    # "end" is a word of SQL.
    sa.Column("outcome", JSONB),
    time("finished_at", nullable=True),
    sa.Index(None, "charger_id", "requested_at"),
)

request_key = sa.Table(
    "request_key",
    metadata,
    name("act_id", primary_key=True),
    name("request_sha256"),
    time("at"),
)
"""What the Idempotency-Key of an act was used for first."""

log_request = sa.Table(
    "log_request",
    metadata,
    sa.Column("request_id", sa.BigInteger, primary_key=True, autoincrement=False),
    name("charger_id", sa.ForeignKey("charger.charger_id")),
    name("kind"),
    words("actor"),
    time("requested_at"),
    time("deadline_at"),
    time("since", nullable=True),
    time("until", nullable=True),
    name("request_key", nullable=True, unique=True),
    words("state"),
    words("reason"),
    time("finished_at", nullable=True),
    sa.Index(None, "charger_id", "requested_at"),
)

log_upload = sa.Table(
    "log_upload",
    metadata,
    sa.Column(
        "request_id",
        sa.BigInteger,
        sa.ForeignKey("log_request.request_id"),
        primary_key=True,
        autoincrement=False,
    ),
    name("object_key", unique=True),
    words("filename"),
    sa.Column("length", sa.BigInteger, nullable=False),
    name("sha256"),
    time("received_at"),
    time("removed_at", nullable=True),
)
"""One row for each request: the first upload stands."""
sa.Index(
    "ix_log_upload_received_at",
    log_upload.c.received_at,
    postgresql_where=log_upload.c.removed_at.is_(None),
)

upload_ticket = sa.Table(
    "upload_ticket",
    metadata,
    name("ticket_sha256", primary_key=True),
    name("charger_id"),
    sa.Column(
        "request_id", sa.BigInteger, sa.ForeignKey("log_request.request_id"), nullable=False, index=True
    ),
    time("not_before"),
    time("expires_at"),
    sa.Column("revoked", sa.Boolean, nullable=False, server_default=sa.text("false")),
)
