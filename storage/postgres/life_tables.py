"""How chargers begin and end: retirements, tombstones, and every secret that ever let one in."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON

from storage.postgres.columns import metadata, name, time, words

retirement = sa.Table(
    "retirement",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id"), primary_key=True),
    words("actor"),
    words("reason"),
    time("requested_at"),
    time("deadline_at"),
    words("state"),
    words("waits_for"),
    sa.Column("steps", JSON, nullable=False, server_default=sa.text("'[]'")),
    time("finished_at", nullable=True),
    name("receipt_sha256", nullable=True),
)

tombstone = sa.Table(
    "tombstone",
    metadata,
    name("kind"),
    name("digest"),
    name("charger_id"),
    time("since"),
    sa.PrimaryKeyConstraint("kind", "digest"),
    sa.Index(None, "charger_id"),
)

credential_past = sa.Table(
    "credential_past",
    metadata,
    name("kind"),
    name("digest"),
    name("charger_id"),
    time("since"),
    sa.PrimaryKeyConstraint("kind", "digest", "charger_id"),
    sa.Index(None, "charger_id"),
)
"""Keyed hashes of every password that a charger had or was offered; a trigger writes them."""

__all__ = ["credential_past", "retirement", "tombstone"]
