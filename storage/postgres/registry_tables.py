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

__all__ = ["identifier", "trust_memory"]
