"""``ampwave charger move|moves``: whose a charger is and where it belongs."""

from typing import Annotated

import typer

from api.cli.errors import Record, WrongUse
from api.cli.output import Column, Screen, ago, words
from api.cli.references import segment
from api.cli.session import Session, command

Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]
_NOTHING = "-"
NAMES = {
    "site_id": "site",
    "operator": "operator",
    "site_group": "group",
    "location": "location",
    "installer": "installer",
}


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of chargers."""
    command(app, "move", posts=True)(move)
    command(app, "moves")(moves)


def move(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    charger: Identity,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is on record.")],
    site: Annotated[str | None, typer.Option(metavar="SITE", help="Its new site.")] = None,
    operator: Annotated[str | None, typer.Option(metavar="TEXT", help="Who runs it; - for nobody.")] = None,
    group: Annotated[str | None, typer.Option(metavar="TEXT", help="Its group of sites; - for none.")] = None,
    location: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Where at the site; - for none.")
    ] = None,
    installer: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Who put it up; - for nobody.")
    ] = None,
    if_version: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Only at this ownership version. [default: what it has now]"),
    ] = None,
) -> None:
    """Move a charger to another site, operator, group, place or installer.

    Refused while maintenance or a campaign has it. What was before stays on record: ampwave charger moves.
    """
    given = dict(zip(NAMES, (site, operator, group, location, installer), strict=True))
    body: Record = {
        name: None if value == _NOTHING else value for name, value in given.items() if value is not None
    }
    if not body:
        raise WrongUse(
            "Nothing to change.", hint="Give --site, --operator, --group, --location or --installer."
        )
    if if_version is None:
        if_version = session.api.get(f"/chargers/{segment(charger)}")["ownership_version"]
    path = f"/chargers/{segment(charger)}/moves"
    done = session.api.post(path, {**body, "reason": reason}, if_match=f'"{if_version}"')
    session.show(done, lambda screen: screen.line(f"Moved {charger}: {change(done)}."))


def moves(session: Session, charger: Identity) -> None:
    """Show every move of a charger, newest first, refused ones too."""
    found = session.api.get(f"/chargers/{segment(charger)}/moves")["items"]
    columns = (
        Column("WHEN"),
        Column("STATE"),
        Column("BY"),
        Column("CHANGE", fold=True),
        Column("REASON", fold=True),
    )
    rows = [
        (
            ago(one["requested_at"], session.clock()),
            words(one["state"]),
            str(one["actor"]),
            change(one),
            f"{one['reason']} ({one['why']})" if one["why"] else str(one["reason"]),
        )
        for one in found
    ]

    def draw(screen: Screen) -> None:
        screen.table(columns, rows, empty="It was never moved.")

    session.show(found, draw)


def change(done: Record) -> str:
    """What a move changes, in words."""
    before = done["before"]
    told = []
    for name, value in done["values"].items():
        was = f"{before.get(name) or 'nothing'} -> " if done["state"] == "done" else ""
        told.append(f"{NAMES[name]} {was}{value or 'nothing'}")
    return ", ".join(told)
