"""``ampwave site``: places with chargers."""

from typing import Annotated

import typer

from api.cli.output import Column
from api.cli.session import Session, command, group

app = group("Sites and how many chargers each may miss at once.")


@command(app, "add", posts=True)
def add(
    session: Session,
    site: Annotated[str, typer.Argument(metavar="SITE", help="Its id: lower case, digits, hyphens.")],
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What people call it. [default: its id]")
    ] = None,
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="IANA name, as in Europe/Berlin.")] = "UTC",
    max_down: Annotated[
        int, typer.Option(min=1, metavar="N", help="Chargers away at once for maintenance.")
    ] = 1,
) -> None:
    """Add a site, or change one that is there."""
    body = {"site_id": site, "name": name or site, "time_zone": time_zone, "max_down": max_down}
    stored = session.api.post("/sites", body)
    session.show(
        stored,
        lambda screen: screen.line(f"Site {stored['site_id']}: at most {stored['max_down']} down at once."),
    )


@command(app, "list")
def list_(session: Session) -> None:
    """List sites."""
    sites = session.api.get("/sites")["items"]
    columns = (
        Column("SITE"),
        Column("NAME", fold=True),
        Column("TIME ZONE", optional=True),
        Column("MAX DOWN", right=True),
    )
    rows = [(one["site_id"], one["name"], one["time_zone"], str(one["max_down"])) for one in sites]
    session.show(
        sites,
        lambda screen: screen.table(columns, rows, empty="No sites yet. Add one: ampwave site add SITE"),
    )
