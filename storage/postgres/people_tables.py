"""The tables about people and their deeds; part of ``tables``, where the rules are written."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSON

from storage.postgres.columns import metadata, name, time, words

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    time("at"),
    words("actor"),
    words("action"),
    words("subject"),
    sa.Column("detail", JSON, nullable=False),
    name("previous_hash", unique=True),
    name("row_hash"),
)
"""Append-only: a trigger refuses UPDATE, DELETE and TRUNCATE."""

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("singleton", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("number", sa.BigInteger, nullable=False),
    name("row_hash"),
    sa.CheckConstraint("singleton", name="one_row"),
)
"""The one row that appenders lock, so that the chain never forks."""

token = sa.Table(
    "token",
    metadata,
    name("token_id", primary_key=True),
    name("secret_sha256", unique=True),
    words("name"),
    words("role"),
    time("created_at"),
    time("expires_at", nullable=True),
    time("revoked_at", nullable=True),
)

withdrawal = sa.Table(
    "withdrawal",
    metadata,
    name("subject", primary_key=True),
    words("reason"),
    words("source"),
    words("withdrawn_by"),
    time("withdrawn_at"),
    sa.Column("restored_by", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
)
"""Images and signing certificates that are not sent any more (S36, S38, S66)."""
