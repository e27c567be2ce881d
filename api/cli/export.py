"""``ampwave export``: daily files for finance, fetched and held to their digests."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from api.cli.errors import CliError, WrongUse
from api.cli.output import Column, short, size
from api.cli.references import file_name
from api.cli.session import Session, command, group

app = group("Daily files for finance, with a manifest of digests.")


@command(app, "list")
def list_(
    session: Session,
    days: Annotated[int, typer.Option(min=1, max=92, metavar="N", help="Days back from today.")] = 31,
) -> None:
    """List the days that are there, latest first. A day is made an hour after it is over, by UTC."""
    found = session.api.get("/exports", days=days)
    columns = (
        Column("DAY"),
        Column("FILE"),
        Column("ROWS", right=True),
        Column("SIZE", right=True),
        Column("SHA-256"),
    )
    rows = [
        (str(one["day"]), str(file["name"]), f"{file['rows']:,}", size(file["bytes"]), short(file["sha256"]))
        for one in found
        for file in one["files"]
    ]
    session.show(found, lambda screen: screen.table(columns, rows, empty="No day is over yet."))


@command(app, "fetch")
def fetch(
    session: Session,
    day: Annotated[str, typer.Argument(metavar="DAY", help="As in 2026-11-24.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for the files and their manifest.")],
) -> None:
    """Fetch the files of a day, each held to the SHA-256 in its manifest."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        raise WrongUse(f"{day!r} is no day.", hint="Write it like 2026-11-24.")
    manifest = next((one for one in session.api.get("/exports", days=92) if one["day"] == day), None)
    if manifest is None:
        raise CliError(f"There are no files of {day}.", hint="See the days: ampwave export list")
    files = {file_name(file["name"]): file["sha256"] for file in manifest["files"]}
    try:
        to.mkdir(parents=True)
    except FileExistsError as error:
        raise WrongUse(f"{to} is there already.", hint="Name a new folder.") from error
    for name, sha256 in files.items():
        session.api.download(f"/exports/{day}/{name}", to / name, sha256=sha256)
    (to / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    names = ", ".join(files)
    session.show(manifest, lambda screen: screen.line(f"{names} and manifest.json of {day} are in {to}."))
