"""``ampwave halt``: break the glass. One person stops everything, two people restore it."""

from typing import Annotated

import typer

from api.cli.errors import Record
from api.cli.output import Column, Screen, ago, moment
from api.cli.session import Session, command, group

app = group("Stop everything at once; two people restore it.")
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it goes into the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@command(app, "everything")
def everything(session: Session, reason: Reason, yes: Yes = False) -> None:
    """Halt everything at once: no update, download, directive or publication leaves any more.

    Chargers that have an image already go on installing it; nobody can take it back from them. To stop one
    release only: ampwave withdrawal artifact.
    """
    session.confirm("Halt everything, on every node, now?", yes=yes)
    _show(session, session.api.post("/halts", {"reason": reason}))


@command(app, "list")
def list_(
    session: Session,
    lifted: Annotated[bool, typer.Option("--all", help="Also those that were lifted.")] = False,
) -> None:
    """List the halts in force, and who has said that they may be lifted."""
    halts = list(session.api.pages("/halts", 500, lifted=lifted))
    now = session.clock()
    columns = (
        Column("HALT"),
        Column("SINCE"),
        Column("BY"),
        Column("WHY", fold=True),
        Column("STATE"),
    )
    rows = [
        (str(one["halt_id"]), ago(one["at"], now), one["actor"], one["reason"], _state(one)) for one in halts
    ]
    session.show(halts, lambda screen: screen.table(columns, rows, empty="Nothing is halted."))


@command(app, "restore")
def restore(
    session: Session,
    halt: Annotated[int, typer.Argument(min=1, metavar="HALT", help="Its number, as `halt list` shows it.")],
    reason: Reason,
) -> None:
    """Say that it may go on. Two different people have to; campaigns are then resumed one by one."""
    _show(session, session.api.post(f"/halts/{halt}/restore", {"reason": reason}))


def _show(session: Session, halt: Record) -> None:
    session.show(halt, lambda screen: _draw(screen, halt, session))


def _draw(screen: Screen, halt: Record, session: Session) -> None:
    now = session.clock()
    votes = ", ".join(one["actor"] for one in halt["votes"])
    screen.fields(
        [
            ("Halt", str(halt["halt_id"])),
            ("State", _state(halt)),
            ("Since", f"{moment(halt['at'], now)} by {halt['actor']}"),
            ("Because", str(halt["reason"])),
            ("May go on", votes or None),
        ]
    )
    for one in halt["campaigns"]:
        done = "paused" if one["paused"] else f"not paused: {one['why']}"
        screen.line(f"Campaign {one['campaign_id']} is {done}")
    screen.line()
    if halt["lifted_at"]:
        screen.line(
            "It is lifted. Campaigns stay paused until somebody resumes each: ampwave campaign resume ID"
        )
    else:
        left = halt["votes_needed"] - len(halt["votes"])
        screen.line(
            f"{left} more {'person has' if left == 1 else 'people have'} to say that it may go on: "
            f"ampwave halt restore {halt['halt_id']} --reason TEXT"
        )


def _state(halt: Record) -> str:
    if halt["lifted_at"]:
        return "lifted"
    return f"in force, {len(halt['votes'])} of {halt['votes_needed']} to lift it"
