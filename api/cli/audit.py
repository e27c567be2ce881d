"""``ampwave audit``: the log of who did what, and its hash chain checked on this machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.errors import CliError, Record, WrongUse
from api.cli.session import Session, command, group

if TYPE_CHECKING:
    from storage.audit import AuditRow

app = group("Export the audit log and check its chain.")
_ALL = 10**9


@command(app, "export")
def export(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; one JSON object a line.")],
) -> None:
    """Write the whole log to a file that `audit verify --file` can check offline."""
    if file.exists():
        raise WrongUse(f"{file} is there already.", hint="Name a new file.")
    count, last = 0, ""
    with file.open("x", encoding="utf-8") as out:
        for row in session.api.pages("/audit", _ALL):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count, last = count + 1, str(row["row_hash"])
    session.show(
        {"file": str(file), "rows": count, "last_hash": last},
        lambda screen: screen.line(f"{count} rows in {file}. Last hash: {last or 'none'}"),
    )


@command(app, "verify")
def verify(
    session: Session,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An export. [default: ask the api]")
    ] = None,
    last_hash: Annotated[
        str | None, typer.Option(metavar="HASH", help="A hash you noted; the log has to hold it still.")
    ] = None,
) -> None:
    """Recompute the chain here. Any changed, missing or inserted row breaks it."""
    rows = _rows_of(file) if file else session.api.pages("/audit", _ALL)
    result = check(rows, last_hash)
    session.show(result, lambda screen: screen.line(_verdict(result)))
    if not result["intact"]:
        raise CliError(str(result["problem"]), hint="Keep this copy and compare it with an earlier export.")


def check(rows: Iterator[Record], noted_hash: str | None) -> Record:
    """Whether the rows follow from each other and, if one is given, contain a noted hash."""
    from storage.audit import GENESIS, first_break

    previous, count, seen = GENESIS, 0, noted_hash is None
    for record in rows:
        row = _row(record)
        if first_break([row], previous) is not None:
            return _result(count, previous, f"Row {row.number} does not follow from the one before it.")
        previous, count = row.row_hash, count + 1
        seen = seen or row.row_hash == noted_hash
    problem = "" if seen else f"No row has the hash {noted_hash}: the log was cut or written anew."
    return _result(count, previous, problem)


def _result(count: int, last: str, problem: str) -> Record:
    return {"intact": not problem, "rows": count, "last_hash": last if count else "", "problem": problem}


def _verdict(result: Record) -> str:
    if not result["intact"]:
        return f"Broken after {result['rows']} good rows."
    if not result["rows"]:
        return "The log is empty."
    return (
        f"Intact: {result['rows']} rows, each following from the one before. Last hash: {result['last_hash']}"
    )


def _row(record: Record) -> "AuditRow":
    from datetime import datetime

    from storage.audit import AuditEntry, AuditRow

    try:
        entry = AuditEntry(
            at=datetime.fromisoformat(record["at"]),
            actor=record["actor"],
            action=record["action"],
            subject=record["subject"],
            detail=record["detail"],
        )
        return AuditRow(record["number"], entry, record["previous_hash"], record["row_hash"])
    except (KeyError, TypeError, ValueError) as error:
        raise CliError("This is not a row of an audit log.", [str(error)]) from error


def _rows_of(file: Path) -> Iterator[Record]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise WrongUse(
                        f"{file} is not an export of the audit log.", [f"line {number}: {error}"]
                    ) from error
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}.") from error
