"""``ampwave calendar``: times in which nothing is installed, by grid, tariff or people's word."""

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli import documents
from api.cli.errors import Record, WrongUse
from api.cli.output import Column, Screen
from api.cli.session import Session, command, group

app = group("Times in which nothing is installed: grid events, tariffs, freezes.")
_COLUMNS = ("begins", "ends", "kind", "reason", "site_id", "price")
_AT_ONCE = 1000
_SHAPE = f"A file has the columns {', '.join(_COLUMNS)} (the last two may be left out), as CSV or JSON."


@command(app, "close", posts=True)
def close(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    begins: Annotated[str, typer.Argument(metavar="FROM", help="A time with its zone.")],
    ends: Annotated[str, typer.Argument(metavar="TO", help="A time with its zone.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help="grid, tariff or freeze.")] = "freeze",
    site: Annotated[str | None, typer.Option(metavar="SITE", help="[default: everywhere]")] = None,
    price: Annotated[
        float | None, typer.Option(metavar="PRICE", help="A tariff's: for plans with a lower max_price.")
    ] = None,
) -> None:
    """Close a site, or everything, for a while. What was sent already goes on."""
    row = {"begins": begins, "ends": ends, "kind": kind, "reason": reason, "site_id": site, "price": price}
    _store(session, [_checked(row, "This")])


@command(app, "import", posts=True)
def import_(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header line, or a JSON list.")],
) -> None:
    """Import grid events or a tariff. Rows that are there already change nothing."""
    rows = _rows(file)
    if not rows:
        raise WrongUse(f"{file} has no rows.", hint=_SHAPE)
    _store(session, [_checked(row, f"{file}, row {place}") for place, row in enumerate(rows, 1)])


@command(app, "list")
def list_(
    session: Session,
    begins: Annotated[str | None, typer.Option("--from", metavar="TIME", help="[default: now]")] = None,
    ends: Annotated[str | None, typer.Option("--to", metavar="TIME", help="[default: 62 days on]")] = None,
) -> None:
    """List closed times."""
    found = session.api.get(
        "/closures",
        begins=_instant("--from", begins) if begins else None,
        ends=_instant("--to", ends) if ends else None,
    )["items"]
    session.show(found, lambda screen: _draw(screen, found))


@command(app, "open")
def open_(
    session: Session,
    closure: Annotated[str, typer.Argument(metavar="ID", help="As `calendar list` shows it.")],
) -> None:
    """Take a closed time away."""
    session.api.delete(f"/closures/{closure}")
    session.show({"closure_id": closure}, lambda screen: screen.line(f"{closure} is no more."))


def _store(session: Session, rows: list[Record]) -> None:
    stored: list[Record] = []
    for start in range(0, len(rows), _AT_ONCE):
        stored += session.api.post("/closures", {"closures": rows[start : start + _AT_ONCE]})["items"]
    session.show(stored, lambda screen: _draw(screen, stored))


def _draw(screen: Screen, rows: list[Record]) -> None:
    columns = (
        Column("ID"),
        Column("FROM"),
        Column("TO"),
        Column("KIND"),
        Column("SITE"),
        Column("PRICE", right=True, optional=True),
        Column("WHY", fold=True),
    )
    cells = [
        (
            str(one["closure_id"]),
            _minute(one["begins"]),
            _minute(one["ends"]),
            str(one["kind"]),
            str(one["site_id"] or "everywhere"),
            "" if one["price"] is None else f"{one['price']:g}",
            str(one["reason"]),
        )
        for one in rows
    ]
    screen.table(columns, cells, empty="Nothing is closed.")


def _minute(text: str) -> str:
    return f"{text[:16].replace('T', ' ')}Z"


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{file} cannot be read: {error}.") from error
    if text.lstrip().startswith(("[", "{")):
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise WrongUse(f"{file} is not valid JSON: {error}.") from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise WrongUse(f"{file} is not a list of objects.", hint=_SHAPE)
        return rows
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        return [{name: value or None for name, value in row.items() if name} for row in reader]
    except csv.Error as error:
        raise WrongUse(f"{file} is not readable CSV: {error}.", hint=_SHAPE) from error


def _checked(row: dict[str, Any], where: str) -> Record:
    strange = sorted(set(row) - set(_COLUMNS))
    missing = [name for name in _COLUMNS[:4] if not row.get(name)]
    if strange or missing:
        said = [f"{name} is missing" for name in missing] + [f"{name} is no column here" for name in strange]
        raise WrongUse(f"{where}: {'; '.join(said)}.", hint=_SHAPE)
    price = row.get("price")
    begins, ends = (_instant(where, str(row[name])) for name in ("begins", "ends"))
    if datetime.fromisoformat(ends) <= datetime.fromisoformat(begins):
        raise WrongUse(f"{where} ends before it begins: from {begins} to {ends}.")
    try:
        return {
            **row,
            "begins": begins,
            "ends": ends,
            "price": None if price is None else float(price),
        }
    except (TypeError, ValueError):
        raise WrongUse(f"{where}: price {price!r} is not a number.") from None


def _instant(where: str, text: str) -> str:
    try:
        return documents.instant(text)
    except ValueError:
        raise WrongUse(
            f"{where}: {text!r} is not a time with its zone.",
            hint="Write it as in 2026-12-01T17:00:00+01:00.",
        ) from None
