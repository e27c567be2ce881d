"""The tables of halts; part of ``tables``."""

import sqlalchemy as sa

from storage.postgres.columns import flag, metadata, name, time, words

halt = sa.Table(
    "halt",
    metadata,
    sa.Column("halt_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    name("scope"),
    words("actor"),
    words("reason"),
    time("at"),
    time("lifted_at", nullable=True),
    flag("recorded"),
)
sa.Index("uq_halt_in_force", halt.c.scope, unique=True, postgresql_where=halt.c.lifted_at.is_(None))
"""A trigger refuses to remove one."""

halt_vote = sa.Table(
    "halt_vote",
    metadata,
    sa.Column("halt_id", sa.BigInteger, sa.ForeignKey("halt.halt_id"), nullable=False),
    name("actor"),
    words("reason"),
    time("at"),
    sa.PrimaryKeyConstraint("halt_id", "actor"),
)
