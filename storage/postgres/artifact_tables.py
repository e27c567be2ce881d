"""The tables of artifacts, and of what people sign for them; part of ``tables``."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

from storage.postgres.columns import metadata, name, time, words

artifact = sa.Table(
    "artifact",
    metadata,
    name("artifact_id", primary_key=True),
    name("vendor_role"),
    name("version"),
    sa.Column("release_counter", sa.BigInteger, nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("compatible", JSONB, nullable=False),
    sa.Column("vendor_signatures", JSON, nullable=False),
    words("phase"),
    words("reason"),
    words("filename"),
    words("uploaded_by"),
    time("uploaded_at"),
    sa.Column("evidence", JSONB, nullable=False, server_default=sa.text("'[]'")),
    sa.Index(None, "uploaded_at", "artifact_id"),
)
sa.Index(
    "uq_artifact_version",
    artifact.c.vendor_role,
    artifact.c.version,
    unique=True,
    postgresql_where=artifact.c.phase != "rejected",
)
"""Rejected bytes were never anybody's: they keep neither themselves nor their version from coming again."""

staged_release = sa.Table(
    "staged_release",
    metadata,
    name("artifact_id", sa.ForeignKey("artifact.artifact_id"), primary_key=True),
    name("role"),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    name("sha256"),
    sa.Column("threshold", sa.SmallInteger, nullable=False),
    sa.Column("keyids", ARRAY(sa.Text), nullable=False),
)

sign_off = sa.Table(
    "sign_off",
    metadata,
    name("artifact_id", sa.ForeignKey("artifact.artifact_id")),
    name("staged_sha256"),
    name("keyid"),
    words("signature"),
    words("signer"),
    time("signed_at"),
    sa.PrimaryKeyConstraint("artifact_id", "staged_sha256", "keyid"),
)

__all__ = ["artifact", "sign_off", "staged_release"]
