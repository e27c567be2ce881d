"""The tables of what people say of chargers and sites, and of planned downtime; part of ``tables``."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from storage.postgres.columns import metadata, name, time, words

charger_upkeep = sa.Table(
    "charger_upkeep",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id"), primary_key=True),
    words("hold"),
    time("hold_until", nullable=True),
    words("pin", nullable=True),
    words("link", nullable=True),
    sa.Column("power_kw", sa.Double),
    sa.Column("connector_types", ARRAY(sa.Text), nullable=False),
    words("changed_by"),
)

closure = sa.Table(
    "closure",
    metadata,
    name("closure_id", primary_key=True),
    time("begins"),
    time("ends"),
    name("kind"),
    words("reason"),
    name("site_id", sa.ForeignKey("site.site_id"), nullable=True),
    sa.Column("price", sa.Double),
    sa.Index(None, "ends"),
    sa.CheckConstraint("ends > begins", name="forward"),
)
"""Times in which nothing is installed. The id is a hash of the rest, so the same again is no second one."""

downtime = sa.Table(
    "downtime",
    metadata,
    name("charger_id"),
    name("site_id"),
    words("kind"),
    time("began"),
    time("ended"),
    name("campaign_id", nullable=True),
    sa.Index(None, "charger_id", "ended"),
    sa.Index(None, "site_id", "ended"),
)
"""How long chargers were leased for work: what an uptime obligation is charged with; when each came back."""

metering = sa.Table(
    "metering",
    metadata,
    name("artifact_id", sa.ForeignKey("artifact.artifact_id"), primary_key=True),
    sa.Column("countries", ARRAY(sa.Text), nullable=False),
    words("reason"),
    words("actor"),
    time("at"),
)
"""Firmware that affects legal metering; one without a row does not."""
