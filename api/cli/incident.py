"""``ampwave incident``: what a person should know of, and closing it by hand."""

from typing import Annotated

import typer

from api.cli.output import Column, ago, words
from api.cli.session import Session, command, group

app = group("See incidents, and close one by hand.")


@command(app, "list")
def list_(
    session: Session,
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, metavar="N", help="At most so many.")] = 100,
) -> None:
    """List incidents, latest first."""
    found = session.api.get("/incidents", closed=str(every).lower(), limit=limit)["items"]
    columns = (
        Column("ID", right=True),
        Column("KIND"),
        Column("ABOUT"),
        Column("SUMMARY", fold=True),
        Column("OPENED"),
        Column("CLOSED", optional=True),
        Column("BECAUSE", fold=True, optional=True),
    )
    rows = [
        (
            str(one["incident_id"]),
            words(one["kind"]),
            str(one["subject"]),
            str(one["summary"]),
            ago(one["opened_at"], session.clock()),
            ago(one["closed_at"], session.clock()) if one["closed_at"] else "-",
            f"{one['closed_by']}: {one['close_reason']}" if one["closed_by"] else "-",
        )
        for one in found
    ]
    empty = "No incidents." if every else "No open incidents. --all shows those that are over."
    session.show(found, lambda screen: screen.table(columns, rows, empty=empty))


@command(app, "close", posts=True)
def close(
    session: Session,
    incident: Annotated[int, typer.Argument(min=1, metavar="ID", help="As `incident list` shows it.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it is over; it is on record.")],
) -> None:
    """Close an incident by hand. If what it was about is found again, a new one opens."""
    found = session.api.post(f"/incidents/{incident}/close", {"reason": reason})
    session.show(found, lambda screen: screen.line(f"Incident {incident} ({found['subject']}) is closed."))
