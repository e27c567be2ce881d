"""Tables of the execution of updates beside the targets; part of ``tables``."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from storage.postgres.columns import flag, metadata, name, time, words

charger_penalty = sa.Table(
    "charger_penalty",
    metadata,
    name("charger_id", primary_key=True),
    time("since"),
    time("until"),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    words("reason"),
    time("released_at", nullable=True),
    words("released_by", default=""),
)
sa.Index(
    "ix_charger_penalty_standing",
    charger_penalty.c.until,
    postgresql_where=charger_penalty.c.released_at.is_(None),
)

update_kept = sa.Table(
    "update_kept",
    metadata,
    name("campaign_id"),
    sa.Column("wave", sa.Integer),
    name("charger_id"),
    time("taken_at"),
    sa.Column("values", JSONB, nullable=False),
    sa.Column("profile", sa.Integer, nullable=False),
    sa.Column("roots", ARRAY(sa.Text), nullable=False),
    sa.Column("local_list", sa.BigInteger),
    sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")),
    time("next_at", nullable=True),
    flag("spoilt"),
    sa.PrimaryKeyConstraint("campaign_id", "wave", "charger_id"),
)
"""The last three: of those whose targets count without having been compared (``storage.kept.Owed``)."""

parked_image = sa.Table(
    "parked_image",
    metadata,
    name("charger_id", primary_key=True),
    name("campaign_id"),
    sa.Column("wave", sa.Integer, nullable=False),
    sa.Column("request_id", sa.BigInteger, nullable=False),
    name("directive_id"),
    name("artifact_id"),
    name("version"),
    time("since"),
    words("state"),
)

campaign_wave = sa.Table(
    "campaign_wave",
    metadata,
    name("campaign_id"),
    sa.Column("wave", sa.Integer),
    time("deadline"),
    sa.PrimaryKeyConstraint("campaign_id", "wave"),
)

local_image = sa.Table(
    "local_image",
    metadata,
    name("campaign_id"),
    sa.Column("wave", sa.Integer),
    name("site_id"),
    name("controller_id"),
    name("artifact_id"),
    name("checksum"),
    sa.Column("request_id", sa.BigInteger, nullable=False),
    time("since"),
    time("deadline"),
    words("state"),
    words("reason"),
    sa.Column("locations", ARRAY(sa.Text), nullable=False),
    sa.PrimaryKeyConstraint("campaign_id", "wave", "site_id"),
)
sa.Index("ix_local_image_controller_id_checksum", local_image.c.controller_id, local_image.c.checksum)
