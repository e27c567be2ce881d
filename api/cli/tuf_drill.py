"""``ampwave tuf drill``: what if a key or the bucket were lost or stolen? Played on a scratch repository."""

import asyncio
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.errors import CliError, WrongUse
from api.cli.output import Column, Screen, ago
from api.cli.session import Session, command

if TYPE_CHECKING:
    from signing.drill_records import DrillRecord

NAMES = ("lost-root-key", "stolen-online-key", "stolen-vendor-threshold", "wiped-bucket", "fast-forward")
"""``signing.drills.DRILLS``, which takes long to import (a test compares)."""


def register(app: typer.Typer) -> None:
    """Put the command into ``ampwave tuf``."""
    command(app, "drill", online=False)(drill)


def drill(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help=f"One of: {', '.join(NAMES)}.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the drills on record, and check them.")] = False,
) -> None:
    """Play a drill on the real S3 server, in a bucket of its own that is removed afterwards; record it.

    The live repository is not touched but for the record. Exit code 0 only if everything held.
    """
    if list_ == (name is not None):
        raise WrongUse("Name one drill, or ask for --list.", hint=f"Drills: {', '.join(NAMES)}.")
    if name is None:
        records = asyncio.run(_records())
        session.show([_document(one) for one in records], lambda screen: _draw_list(screen, records, session))
        return
    if name not in NAMES:
        raise WrongUse(f"There is no drill {name!r}.", hint=f"Drills: {', '.join(NAMES)}.")
    record = asyncio.run(_play(session, name))
    session.show(_document(record), lambda screen: _draw(screen, record))
    if not record.held:
        raise CliError(f"The drill {name} did not hold.", [one.what for one in record.steps if not one.held])


async def _play(session: Session, name: str) -> "DrillRecord":
    import tempfile
    from pathlib import Path

    from api import bootstrap
    from api.cli.ceremony import bucket_settings
    from api.cli.credentials import load_settings
    from api.cli.tuf_ceremony import tools
    from signing.drill_records import DrillResult, drill_records, record_drill
    from signing.drills import Scene, play

    settings = bucket_settings(load_settings())
    async with bootstrap.open_blobs(settings) as live, bootstrap.scratch_blobs(settings) as scratch:
        await drill_records(live)  # a broken chain is told before the work, not after
        started, begun = session.clock(), time.monotonic()
        with tempfile.TemporaryDirectory(prefix="ampwave-drill-") as folder:
            scene = Scene(scratch, Path(folder), session.clock)
            held = await play(name, scene)
        result = DrillResult(
            name,
            held,
            started,
            round(time.monotonic() - begun, 3),
            scene.steps,
            tools(),
            os.environ.get("USER", "unknown"),
        )
        return await record_drill(live, result)


async def _records() -> "list[DrillRecord]":
    from api import bootstrap
    from api.cli.ceremony import bucket_settings
    from api.cli.credentials import load_settings
    from signing.drill_records import drill_records

    async with bootstrap.open_blobs(bucket_settings(load_settings())) as live:
        return await drill_records(live)


def _document(record: "DrillRecord") -> "dict[str, object]":
    return {**asdict(record), "started_at": record.started_at.isoformat()}


def _draw(screen: Screen, record: "DrillRecord") -> None:
    for step in record.steps:
        screen.line(f"{'ok ' if step.held else 'NOT'} {step.what}  ({step.seconds:.2f} s)")
    screen.line()
    screen.line(
        f"{record.drill} {'held' if record.held else 'DID NOT HOLD'} in {record.seconds:.1f} s; "
        f"record {record.number}."
    )


def _draw_list(screen: Screen, records: "list[DrillRecord]", session: Session) -> None:
    columns = (
        Column("NO", right=True),
        Column("DRILL"),
        Column("HELD"),
        Column("PLAYED"),
        Column("SECONDS", right=True),
        Column("BY", optional=True),
    )
    now = session.clock()
    rows = [
        (
            str(one.number),
            one.drill,
            "yes" if one.held else "NO",
            ago(one.started_at.isoformat(), now),
            f"{one.seconds:.1f}",
            one.played_by,
        )
        for one in records
    ]
    screen.table(columns, rows, empty="No drill is on record. Play one: ampwave tuf drill lost-root-key")
    never = [name for name in NAMES if name not in {one.drill for one in records if one.held}]
    if records and never:
        screen.line()
        screen.line(f"Never held so far: {', '.join(never)}.")
