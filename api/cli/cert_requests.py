"""``ampwave cert requests`` and ``lists``: what chargers asked for and why not, and what is revoked where."""

from typing import Annotated

import typer

from api.cli.errors import Record
from api.cli.output import Column, Screen, ago
from api.cli.session import Session, command

_WANTED = ("refused", "open")


def register(app: typer.Typer) -> None:
    """Add the commands to ``ampwave cert``."""
    command(app, "requests")(_requests)
    command(app, "lists")(_lists)


def _requests(
    session: Session,
    charger: Annotated[str | None, typer.Option(metavar="CHARGER", help="Of this charger only.")] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE", help="open, issued, refused or superseded; repeat. [default: refused, open]"
        ),
    ] = None,
    within: Annotated[
        int, typer.Option(metavar="DAYS", min=1, max=3650, help="Received within so many days.")
    ] = 30,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that the charger asked again after.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 50,
) -> None:
    """List chargers' signing requests that wait or were refused: why, and what to do about it."""
    found = list(
        session.api.pages(
            "/certificates/requests",
            limit,
            charger_id=charger,
            state=",".join(state or _WANTED),
            within_days=within,
            newest="false" if every else "true",
        )
    )
    now = session.clock()

    def draw(screen: Screen) -> None:
        if not found:
            screen.line("No signing request waits or was refused." if not state else "None.")
        for one in found:
            screen.line(f"{one['charger_id']}  {one['state']}  {ago(one['received_at'], now)}")
            for line in _said(one):
                screen.line(f"  {line}")

    session.show(found, draw)


def _said(one: Record) -> list[str]:
    """Its reasons, each on a line of its own, and what follows."""
    if one["state"] == "open":
        return ["It is answered once the charger is connected and free."]
    return [*one["reasons"], *([f"Next: {one['next_step']}"] if one["next_step"] else [])]


def _lists(session: Session) -> None:
    """List the revocation list of each issuer, and the address under which everybody gets it."""
    found = session.api.get("/certificates/lists")["items"]
    now = session.clock()
    columns = (
        Column("ISSUER"),
        Column("ISSUES"),
        Column("SIGNED"),
        Column("UNTIL"),
        Column("ADDRESS", fold=True),
    )
    rows = [
        (
            one["issuer"][:12],
            "no more" if one["former"] else "now",
            ago(one["this_update"], now),
            ago(one["next_update"], now),
            one["path"],
        )
        for one in found
    ]
    empty = "No list was signed yet: the signer needs AMPWAVE_SIGNER_CA."
    session.show(found, lambda screen: screen.table(columns, rows, empty=empty))
