"""The journal: a request and its answer in one row, cut by days, so that old days can be dropped whole."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0006"

DAYS = 8

STATEMENTS = (
    "ALTER TABLE frame ADD COLUMN answer TEXT",
    "ALTER TABLE frame DROP CONSTRAINT pk_frame",
    "CREATE INDEX ix_frame_charger_id_at ON frame (charger_id, at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    latest = op.get_bind().execute(sa.text("SELECT max(at) FROM frame_default")).scalar()
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today
    if latest is not None:
        # What is there becomes one partition up to its last day, dropped as a whole when that is old enough.
        day = max(latest.astimezone(UTC), today).replace(hour=0, minute=0, second=0, microsecond=0)
        first = day + timedelta(days=1)
        old = f"frame_before_{first:%Y%m%d}"
        op.execute("ALTER TABLE frame DETACH PARTITION frame_default")
        op.execute(f"ALTER TABLE frame_default RENAME TO {old}")
        op.execute(f"ALTER TABLE frame ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO ('{first}')")
        op.execute("CREATE TABLE frame_default PARTITION OF frame DEFAULT")
    # The first ones here, so that a new database has today's; housekeeping makes the next.
    for day in (first + timedelta(days=number) for number in range(DAYS)):
        op.execute(
            f"CREATE TABLE frame_{day:%Y%m%d} PARTITION OF frame "
            f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        )
