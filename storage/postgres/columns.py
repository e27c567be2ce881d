"""What every table is made of: naming rules and a few kinds of columns."""

from typing import Any

from sqlalchemy import Boolean, Column, MetaData, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
"""How constraints and indexes are called, so that migrations can name them."""

metadata = MetaData(naming_convention=NAMING)
"""Every table of the database is in it once ``storage.postgres.tables`` is imported."""

Name = Text(collation="C")
"""An identity: compared and sorted bytewise, the same on every server."""
Time = TIMESTAMP(timezone=True)
ROOMY = {"fillfactor": 70}
"""Room on each page for new versions of its rows, so that updates touch no index."""


def name(column: str, *args: Any, nullable: bool = False, **options: Any) -> Column[str]:
    """An identity or a word from a fixed set."""
    return Column(column, Name, *args, nullable=nullable, **options)


def time(column: str, *, nullable: bool = False) -> Column[Any]:
    """An instant, UTC."""
    return Column(column, Time, nullable=nullable)


def flag(column: str) -> Column[bool]:
    """Yes or no; no unless said."""
    return Column(column, Boolean, nullable=False, server_default=text("false"))


def words(column: str, *, nullable: bool = False, default: str | None = None) -> Column[str]:
    """Free text. ``default`` is for columns that older rows did not have."""
    given = None if default is None else text(f"'{default}'")
    return Column(column, Text, nullable=nullable, server_default=given)
