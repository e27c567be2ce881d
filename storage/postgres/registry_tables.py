"""What things are called by others, and what was held to be right of a charger."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from storage.postgres.columns import metadata, name, time, words

identifier = sa.Table(
    "identifier",
    metadata,
    name("namespace"),
    name("value"),
    name("subject"),
    words("actor"),
    time("since"),
    sa.PrimaryKeyConstraint("namespace", "value"),
    sa.Index(None, "subject"),
)
"""One subject for each value of a namespace (F20). ``actor`` ``charger``: nobody but the charger said so."""

trust_memory = sa.Table(
    "trust_memory",
    metadata,
    name("charger_id", primary_key=True),
    sa.Column("memory", JSONB, nullable=False),
)

charger_move = sa.Table(
    "charger_move",
    metadata,
    name("move_id", primary_key=True),
    name("charger_id", sa.ForeignKey("charger.charger_id")),
    sa.Column("expected_version", sa.BigInteger, nullable=False),
    sa.Column("values", JSONB, nullable=False),
    sa.Column("before", JSONB, nullable=False),
    words("actor"),
    words("reason"),
    name("state"),
    words("why"),
    time("requested_at"),
    time("finished_at", nullable=True),
    sa.Index(None, "charger_id", "requested_at"),
)
"""Each change of whose a charger is, or where it belongs (F3)."""

__all__ = ["charger_move", "identifier", "trust_memory"]
