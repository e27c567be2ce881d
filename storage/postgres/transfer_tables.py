"""The tables about images on the move: uploads in pieces, downloads, checks; part of ``tables``."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from storage.postgres.columns import flag, metadata, name, time, words

artifact_upload = sa.Table(
    "artifact_upload",
    metadata,
    name("upload_id", primary_key=True),
    name("actor"),
    sa.Column("length", sa.BigInteger, nullable=False),
    name("sha256"),
    time("created_at"),
    time("expires_at"),
    sa.UniqueConstraint("actor", "sha256", "length"),
)

artifact_upload_piece = sa.Table(
    "artifact_upload_piece",
    metadata,
    name("upload_id", sa.ForeignKey("artifact_upload.upload_id", ondelete="CASCADE")),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),
    name("object_key"),
    sa.PrimaryKeyConstraint("upload_id", "first"),
)

download_ticket = sa.Table(
    "download_ticket",
    metadata,
    name("ticket_sha256", primary_key=True),
    name("charger_id", index=True),
    name("artifact_sha256"),
    time("not_before"),
    time("expires_at"),
    flag("revoked"),
    sa.Column("certificates", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
)

download = sa.Table(
    "download",
    metadata,
    name(
        "ticket_sha256", sa.ForeignKey("download_ticket.ticket_sha256", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("sent", sa.BigInteger, nullable=False),
    sa.Column("requests", sa.BigInteger, nullable=False),
    words("address"),
    time("started_at"),
    time("seen_at"),
    time("finished_at", nullable=True),
)

blob_check = sa.Table(
    "blob_check",
    metadata,
    name("sha256", primary_key=True),
    time("checked_at"),
    words("problem"),
)
"""When the bytes of an image were last read back and hashed; an empty problem: they were sound."""
