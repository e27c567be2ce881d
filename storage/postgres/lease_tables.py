"""Who is away from its site through us, under a lease or out of service since; when nodes listened."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from storage.postgres.columns import ROOMY, Time, metadata, name, time, words

site_lease = sa.Table(
    "site_lease",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id"), primary_key=True),
    name("site_id", sa.ForeignKey("site.site_id"), index=True),
    name("workflow_id"),
    words("kind"),
    time("expires_at"),
    sa.Column("request_id", sa.BigInteger),
    sa.Column("wake_on", ARRAY(sa.Text), nullable=False),
    name("run", server_default=sa.text("''")),
    sa.Column("taken_at", Time, nullable=False, server_default=sa.func.now()),
    sa.Column("download_bytes", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    name("campaign_id", nullable=True),
)

out_of_service = sa.Table(
    "out_of_service",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id"), primary_key=True),
    name("site_id", sa.ForeignKey("site.site_id"), index=True),
    sa.Column("before", ARRAY(sa.Text), nullable=False),
    time("since"),
    words("cause"),
    sa.Column("steady_seconds", sa.Double),
)
"""Chargers that we took out of service and have not put back yet."""

listening = sa.Table(
    "listening",
    metadata,
    name("node_id"),
    name("boot_id"),
    time("began_at"),
    time("until"),
    sa.PrimaryKeyConstraint("node_id", "boot_id", "began_at"),
    postgresql_with=ROOMY,
)
"""A node's life as it marked it; a new row after a break (``storage.listening``)."""

__all__ = ["listening", "out_of_service", "site_lease"]
