"""``ampwave db retention``: what is stored, what it costs, and what had its time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from api.cli.credentials import load_settings
from api.cli.output import Column, Screen, size
from api.cli.session import Session
from storage.clock import system_clock
from storage.retention import ClassSurvey


def run_retention(dry_run: bool, as_json: bool) -> int:
    """Count everything; without ``dry_run`` remove what had its time, too."""
    found, removed = asyncio.run(_work(dry_run))
    session = Session(json=as_json)
    shown = {
        "dry_run": dry_run,
        "classes": [asdict(one) | {"held": dict(one.held)} for one in found],
        "removed": dict(removed),
    }
    session.show(shown, lambda screen: _draw(screen, found, removed, dry_run=dry_run))
    return 0


async def _work(dry_run: bool) -> tuple[Sequence[ClassSurvey], Mapping[str, int]]:
    from api import bootstrap
    from api.retention import retention_policy

    settings = load_settings()
    policy, now = retention_policy(settings), system_clock()
    async with bootstrap.open_retention(settings) as store:
        found = await store.survey(policy, now)
        return found, {} if dry_run else await store.remove(policy, now, seconds=3600)


def _draw(screen: Screen, found: Sequence[ClassSurvey], removed: Mapping[str, int], *, dry_run: bool) -> None:
    columns = (
        Column("CLASS"),
        Column("ROWS", right=True),
        Column("SIZE", right=True),
        Column("KEPT"),
        Column("HAD ITS TIME" if dry_run else "REMOVED", right=True),
        Column("OLD, BUT NEEDED BY", fold=True),
        Column("WHAT", optional=True),
    )
    rows = [
        (
            one.name,
            f"{one.rows:,}",
            size(one.bytes),
            "for ever" if one.kept_days is None else f"{one.kept_days} days",
            f"{one.outlived if dry_run else removed.get(one.name, 0):,}",
            ", ".join(f"{reason}: {count:,}" for reason, count in one.held.items()) or "-",
            one.what,
        )
        for one in found
    ]
    screen.table(columns, rows, empty="")
    if dry_run:
        screen.line()
        screen.line("Nothing was removed. Days are settings: see deploy/SETTINGS.md.")
