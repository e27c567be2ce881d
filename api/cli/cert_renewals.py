"""New certificates for many chargers, and other work in such waves: begin, look, pause, resume, abort."""

from typing import Annotated, Any

import typer

from api.cli.errors import Record
from api.cli.output import Column, Screen, ago, counted, moment, words
from api.cli.session import Session, command

Id = Annotated[str, typer.Argument(metavar="JOB", help="As `ampwave cert renewals` names it.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it goes into the audit log.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``ampwave cert``."""
    command(app, "renew-fleet", posts=True)(_renew_fleet)
    command(app, "renewals")(_renewals)
    command(app, "renewal")(_renewal)
    for act in ("pause", "resume", "abort"):
        command(app, act, posts=True)(_steering(act))


_HELP = {
    "pause": "Start no more chargers of a job; those at work go on to their end.",
    "resume": "Go on with a job after a pause, or pass a gate that holds it.",
    "abort": "Start nothing more of a job, ever; chargers keep what they have.",
}


def _renew_fleet(  # noqa: PLR0913 - the options of a command
    session: Session,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What the renewal is called.")],
    charger: Annotated[list[str] | None, typer.Option(metavar="CHARGER", help="Repeat for more.")] = None,
    query: Annotated[
        str | None, typer.Option(metavar="QUERY", help="In the query language (docs/QUERY.md).")
    ] = None,
    within: Annotated[
        int | None, typer.Option(metavar="DAYS", min=1, help="Whose certificate ends within so many days.")
    ] = None,
    canary: Annotated[int, typer.Option(min=1, metavar="N", help="Chargers of the first wave.")] = 1,
    growth: Annotated[int, typer.Option(min=2, metavar="N", help="Each wave is so many times larger.")] = 10,
    parallel: Annotated[int, typer.Option(min=1, max=200, metavar="N", help="Chargers at once.")] = 20,
) -> None:
    """Renew many chargers' certificates: a canary first, then growing waves, each judged before the next."""
    body: dict[str, Any] = {"name": name, "canary": canary, "growth": growth, "parallel": parallel}
    given = {"charger_ids": charger or None, "query": query, "expires_within_days": within}
    body |= {field: value for field, value in given.items() if value is not None}
    show_renewal(session, session.api.post("/renewals", body))


def _renewals(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 50,
) -> None:
    """List renewals and other jobs of many chargers (roots, passwords, profiles, networks), newest first."""
    found = list(session.api.pages("/renewals", limit))
    now = session.clock()
    columns = (
        Column("JOB"),
        Column("NAME", fold=True),
        Column("WORK", fold=True),
        Column("STATE"),
        Column("CHARGERS", right=True),
        Column("DONE", right=True),
        Column("BEGUN"),
    )
    rows = [
        (
            one["renewal_id"],
            one["name"],
            one["title"],
            words(one["phase"]),
            str(one["chargers"]),
            str(one["chargers"] - one["counts"].get("open", 0)),
            ago(one["created_at"], now),
        )
        for one in found
    ]
    empty = "No renewals yet. Begin one: ampwave cert renew-fleet --within 30 --name autumn"
    session.show(found, lambda screen: screen.table(columns, rows, empty=empty))


def _renewal(
    session: Session,
    renewal: Id,
    limit: Annotated[int, typer.Option(min=1, max=200, metavar="N", help="Chargers shown.")] = 50,
) -> None:
    """Show one renewal or other job, charger by charger."""
    found = session.api.get(f"/renewals/{renewal}")
    lines = session.api.get(f"/renewals/{renewal}/chargers", limit=limit)["items"]
    columns = (
        Column("WAVE", right=True),
        Column("CHARGER"),
        Column("OUTCOME"),
        Column("TRIES", right=True),
        Column("WHY", fold=True),
    )
    rows = [
        (
            str(one["wave"] + 1),
            one["charger_id"],
            found["labels"][one["outcome"]] if one["outcome"] else "open",
            str(one["attempts"]),
            f"{one['reason']}. Next: {one['next_step']}" if one["next_step"] else one["reason"],
        )
        for one in lines
    ]

    def draw(screen: Screen) -> None:
        _draw(screen, found, session)
        screen.line()
        screen.table(columns, rows, empty="It has no chargers.")

    session.show({**found, "items": lines}, draw)


def _steering(act: str) -> Any:
    def steer(session: Session, renewal: Id, reason: Reason) -> None:
        show_renewal(session, session.api.post(f"/renewals/{renewal}/{act}", {"reason": reason}))

    steer.__doc__ = _HELP[act]
    return steer


def show_renewal(session: Session, found: Record) -> None:
    """A job of many chargers as it stands."""
    session.show(found, lambda screen: _draw(screen, found, session))


def _draw(screen: Screen, found: Record, session: Session) -> None:
    counts = found["counts"]
    done = ", ".join(f"{count} {found['labels'].get(name, name)}" for name, count in sorted(counts.items()))
    screen.fields(
        [
            ("Job", found["renewal_id"]),
            ("Work", found["title"]),
            ("Name", found["name"]),
            ("State", f"{words(found['phase'])}: {found['reason']}"),
            ("Chargers", f"{found['chargers']} in {counted(found['waves'], 'wave')}: {done}"),
            ("Begun", f"{moment(found['created_at'], session.clock())} by {found['created_by']}"),
            ("Ended", moment(found["finished_at"], session.clock()) if found["finished_at"] else None),
        ]
    )
