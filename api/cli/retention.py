"""``ampwave db retention``: what is stored, what it costs, and what had its time.

Where this machine's settings name a database it is asked directly, since counting a large one takes longer
than a request may; elsewhere the api is asked.
"""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

from api.cli.credentials import load_settings
from api.cli.errors import Record
from api.cli.output import Column, Screen, size
from api.cli.session import Session
from storage.clock import system_clock

if TYPE_CHECKING:
    from api.settings import Settings


def run_retention(dry_run: bool, as_json: bool) -> int:
    """Count everything; without ``dry_run`` remove what had its time, too."""
    settings, session = load_settings(), Session(json=as_json)
    if settings.database_url is not None:
        found = asyncio.run(_directly(settings, dry_run))
    elif dry_run:
        found = session.api.get("/storage/retention")
    else:
        found = session.api.post("/storage/retention")
    session.show(found, lambda screen: _draw(screen, found))
    return 0


async def _directly(settings: "Settings", dry_run: bool) -> Record:
    from api import bootstrap
    from api.retention import retention_policy

    policy, now = retention_policy(settings), system_clock()
    async with bootstrap.open_retention(settings) as store:
        classes = [asdict(one) | {"held": dict(one.held)} for one in await store.survey(policy, now)]
        removed = {} if dry_run else dict(await store.remove(policy, now, seconds=3600))
    return {"dry_run": dry_run, "classes": classes, "removed": removed}


def _draw(screen: Screen, found: Record) -> None:
    columns = (
        Column("CLASS"),
        Column("ROWS", right=True),
        Column("SIZE", right=True),
        Column("KEPT"),
        Column("HAD ITS TIME" if found["dry_run"] else "REMOVED", right=True),
        Column("OLD, BUT NEEDED BY", fold=True),
        Column("WHAT", optional=True),
    )
    rows = [
        (
            str(one["name"]),
            f"{one['rows']:,}",
            size(one["bytes"]),
            "for ever" if one["kept_days"] is None else f"{one['kept_days']} days",
            f"{one['outlived'] if found['dry_run'] else found['removed'].get(one['name'], 0):,}",
            ", ".join(f"{reason}: {count:,}" for reason, count in one["held"].items()) or "-",
            str(one["what"]),
        )
        for one in found["classes"]
    ]
    screen.table(columns, rows, empty="")
    if found["dry_run"]:
        screen.line()
        screen.line("Nothing was removed. Days are settings: see deploy/SETTINGS.md.")
