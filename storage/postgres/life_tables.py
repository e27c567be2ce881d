"""How chargers begin and end: retirements, tombstones, and every secret that ever let one in."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON, JSONB

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

enrolment = sa.Table(
    "enrolment",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id"), primary_key=True),
    words("origin"),
    words("actor"),
    time("requested_at"),
    time("deadline_at"),
    words("environment"),
    name("template", nullable=True),
    sa.Column("parameters", JSONB, nullable=False),
    sa.Column("profile", sa.SmallInteger, nullable=False),
    words("state"),
    words("waits_for"),
    time("credential_at", nullable=True),
    sa.Column("asset", JSONB, nullable=False),
    name("iccid", nullable=True),
    sa.Column("attestations", JSONB, nullable=False),
    sa.Column("checks", JSONB, nullable=False),
    time("finished_at", nullable=True),
    time("look_at", nullable=True),
    sa.UniqueConstraint("iccid"),
    sa.Index("ix_enrolment_open", "requested_at", postgresql_where=sa.text("finished_at IS NULL")),
)

installer_claim = sa.Table(
    "installer_claim",
    metadata,
    name("claim_sha256", primary_key=True),
    name("charger_id", sa.ForeignKey("charger.charger_id"), index=True),
    name("site_id"),
    words("serial_number"),
    words("issued_to"),
    words("issued_by"),
    time("issued_at"),
    time("expires_at"),
    time("used_at", nullable=True),
)

factory_unit = sa.Table(
    "factory_unit",
    metadata,
    name("vendor"),
    name("serial_number", index=True),
    name("model"),
    name("site_id", sa.ForeignKey("site.site_id")),
    name("manifest_sha256"),
    words("hardware_revision", nullable=True),
    name("key_sha256", nullable=True),
    name("template", nullable=True),
    sa.Column("profile", sa.SmallInteger, nullable=False),
    sa.PrimaryKeyConstraint("vendor", "serial_number"),
    sa.UniqueConstraint("key_sha256"),
)
"""The allow-list: who is not in it, is let in by no manufacturer's certificate."""

stranger = sa.Table(
    "stranger",
    metadata,
    name("key_sha256", primary_key=True),
    name("charger_id"),
    words("serial_number"),
    words("address"),
    time("first_seen"),
    time("last_seen"),
    sa.Column("times", sa.BigInteger, nullable=False),
)

provisioning_template = sa.Table(
    "provisioning_template",
    metadata,
    name("name", primary_key=True),
    sa.Column("body", JSON, nullable=False),
    words("actor"),
    time("at"),
)

site_constraint = sa.Table(
    "site_constraint",
    metadata,
    name("site_id", sa.ForeignKey("site.site_id"), primary_key=True),
    sa.Column("constraints", JSONB, nullable=False),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id")),
    time("since"),
    name("signal"),
    words("reason"),
    words("actor"),
    name("before"),
    time("released_at", nullable=True),
    words("released_by", default=""),
    words("release_reason", default=""),
    name("after", nullable=True),
    sa.PrimaryKeyConstraint("charger_id", "since"),
    sa.Index(
        "ix_quarantine_open", "charger_id", unique=True, postgresql_where=sa.text("released_at IS NULL")
    ),
)

reprovisioning = sa.Table(
    "reprovisioning",
    metadata,
    name("reprovision_id", primary_key=True),
    name("charger_id", sa.ForeignKey("charger.charger_id")),
    name("mode"),
    words("actor"),
    words("reason"),
    time("requested_at"),
    time("deadline_at"),
    words("environment"),
    name("template", nullable=True),
    sa.Column("parameters", JSONB, nullable=False),
    sa.Column("profile", sa.SmallInteger, nullable=False),
    name("state"),
    words("waits_for"),
    sa.Column("steps", JSON, nullable=False, server_default=sa.text("'[]'")),
    sa.Column("before", JSONB, nullable=False),
    time("finished_at", nullable=True),
    sa.Index(None, "charger_id", "requested_at"),
    sa.Index(
        "ix_reprovisioning_open", "charger_id", unique=True, postgresql_where=sa.text("finished_at IS NULL")
    ),
)

__all__ = [
    "credential_past",
    "enrolment",
    "factory_unit",
    "installer_claim",
    "provisioning_template",
    "quarantine",
    "reprovisioning",
    "retirement",
    "site_constraint",
    "stranger",
    "tombstone",
]
