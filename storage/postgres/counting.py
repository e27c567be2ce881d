"""The fleet in numbers: one statement, hence one instant."""

from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.charger import FleetCounts
from storage.postgres.leases import ALIVE
from storage.postgres.tables import charger, site_lease, twin
from storage.twin import Lifecycle

UNKNOWN_VERSION = "unknown"

_GROUPS = (
    select(
        twin.c.firmware_version,
        charger.c.vendor,
        charger.c.model,
        func.count().label("total"),
        func.count().filter(twin.c.online).label("online"),
        func.count().filter(twin.c.charging).label("charging"),
        func.count().filter(twin.c.faulted).label("faulted"),
        func.count(site_lease.c.charger_id).label("in_maintenance"),
    )
    .join(twin, twin.c.charger_id == charger.c.charger_id)
    .outerjoin(site_lease, (site_lease.c.charger_id == charger.c.charger_id) & ALIVE)
    .where(charger.c.lifecycle != Lifecycle.RETIRED.value)
    .group_by(twin.c.firmware_version, charger.c.vendor, charger.c.model)
)


async def count_fleet(connection: AsyncConnection) -> FleetCounts:
    """Grouped by version and model in the database, summed up here."""
    totals: Counter[str] = Counter()
    by_version: Counter[str] = Counter()
    by_model: Counter[str] = Counter()
    for row in (await connection.execute(_GROUPS)).mappings():
        for name in ("total", "online", "charging", "faulted", "in_maintenance"):
            totals[name] += row[name]
        by_version[row["firmware_version"] or UNKNOWN_VERSION] += row["total"]
        by_model[f"{row['vendor']} {row['model']}"] += row["total"]
    return FleetCounts(
        **totals, by_version=dict(sorted(by_version.items())), by_model=dict(sorted(by_model.items()))
    )
