"""``ampwave site``: places with chargers."""

from typing import Annotated

import typer

from api.cli.errors import Record, WrongUse
from api.cli.output import Column, Screen
from api.cli.references import segment
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


@command(app, "group")
def load_group(
    session: Session,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The name of the load group at its site.")],
    charger: Annotated[
        list[str] | None, typer.Option("--charger", metavar="CHARGER", help="A member; repeat for more.")
    ] = None,
    max_down: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Chargers of the group away at once.")
    ] = None,
    limit: Annotated[
        float | None, typer.Option("--limit", min=0, metavar="AMPERE", help="What it may draw; only kept.")
    ] = None,
    priority: Annotated[int | None, typer.Option(metavar="N", help="Of these members; only kept.")] = None,
) -> None:
    """Put chargers of a site into a load group, and bound how many of it updates may take away.

    Kept as desired configuration of each charger; none is told. The least bound that a member has counts.
    """
    if not charger:
        raise WrongUse("No charger is given.", hint="Name its members: --charger CP-1 --charger CP-2")
    limits = {"group_max_down": max_down, "limit_a": limit, "priority": priority}
    patch: Record = {"load_group": group, **{name: each for name, each in limits.items() if each is not None}}
    done = []
    for name in charger:
        path = f"/chargers/{segment(name)}/desired/power"
        version = session.api.get(path)["version"]
        done.append(session.api.patch(path, patch, if_match=f'"{version}"'))

    def draw(screen: Screen) -> None:
        for one in done:
            told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in one["desired"].items())
            screen.line(f"{one['charger_id']}: {told}.")

    session.show(done, draw)
