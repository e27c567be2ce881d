"""``ampwave charger set-apart`` and ``retry``: chargers that failed too often."""

from typing import Annotated

import typer

from api.cli.output import Column, moment
from api.cli.references import segment
from api.cli.session import Session, command

Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of chargers."""
    command(app, "set-apart")(set_apart)
    command(app, "retry", posts=True)(retry)


def set_apart(session: Session) -> None:
    """List chargers that are set apart for a time, because attempts on them failed again and again."""
    found = list(session.api.pages("/penalties", 500))
    now = session.clock()
    columns = (Column("CHARGER"), Column("UNTIL"), Column("TIME", right=True), Column("BECAUSE", fold=True))
    rows = [
        (str(one["charger_id"]), moment(one["until"], now) or "-", str(one["times"]), str(one["reason"]))
        for one in found
    ]
    session.show(found, lambda screen: screen.table(columns, rows, empty="No charger is set apart."))


def retry(
    session: Session,
    charger: Identity,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is on record.")],
) -> None:
    """Let a charger that is set apart get updates again."""
    done = session.api.post(f"/penalties/{segment(charger)}/release", {"reason": reason})
    session.show(done, lambda screen: screen.line(f"{charger} may get updates again."))
