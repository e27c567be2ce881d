"""``ampwave charger retired``: chargers that end or have ended, and where their receipts are."""

from typing import Annotated

import typer

from api.cli.output import Column, Screen, ago
from api.cli.session import Session, command


def attach(app: typer.Typer) -> None:
    """Put this command beside the other ones of chargers."""
    command(app, "retired")(retired)


def retired(
    session: Session,
    under_way: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, metavar="N", help="At most so many.")] = 100,
) -> None:
    """Chargers that are being retired or were, the latest first, and what may be said of their memory."""
    found = session.api.get("/decommissions", open=under_way or None, limit=limit)["items"]
    now = session.clock()
    columns = [
        Column("Charger"),
        Column("State"),
        Column("Asked", optional=True),
        Column("Memory"),
        Column("Waits for, or why it ended", fold=True),
    ]
    rows = [
        [
            each["charger_id"],
            each["state"],
            f"{ago(each['requested_at'], now)} by {each['actor']}",
            each["wiped"] if each["finished_at"] else "-",
            each["waits_for"] or each["reason"],
        ]
        for each in found
    ]

    def draw(screen: Screen) -> None:
        nobody = "Nobody was retired yet: ampwave charger decommission CHARGER --reason WHY"
        screen.table(columns, rows, empty="Nobody is being retired." if under_way else nobody)
        if len(rows) == limit:
            screen.line(f"Only the first {limit} are shown; --limit N shows more.")
        if any(each["receipt_sha256"] for each in found):
            screen.line("A signed receipt: ampwave charger receipt CHARGER FILE")

    session.show(found, draw)
