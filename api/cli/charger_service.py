"""``ampwave charger uptime|downtime|meters|trends``: how chargers served."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from api.cli.downtime_views import draw_charger, taking
from api.cli.errors import CliError, Record, WrongUse
from api.cli.output import Column, Screen, ago, duration, words
from api.cli.references import segment
from api.cli.session import Session, command

Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]
BY = ("site", "version", "model", "operator", "charger")


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of chargers."""
    command(app, "uptime")(uptime)
    command(app, "downtime")(downtime)
    command(app, "meters")(meters)
    command(app, "trends")(trends)


def uptime(
    session: Session,
    charger: Annotated[
        str | None, typer.Argument(metavar="[CHARGER]", help="Day by day; without one, the fleet in groups.")
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="WHAT", help=", ".join(BY) + ".")] = "site",
    days: Annotated[int, typer.Option(min=1, max=366, metavar="N", help="The last so many, UTC.")] = 30,
    query: Annotated[
        str | None, typer.Option("--query", "-q", metavar="QUERY", help="Which chargers; docs/QUERY.md.")
    ] = None,
) -> None:
    """Show uptime, utilisation, faults, sessions and time to repair, with maintenance kept apart.

    UPTIME leaves out maintenance and time of which nothing is known; KNOWN says how much is known. MTTR is of
    failures that ended, and leaves out those of less than a minute.
    """
    if by not in BY:
        raise WrongUse(f"--by {by!r} is none of {', '.join(BY)}.")
    if charger is not None:
        if query is not None:
            raise WrongUse("Give a charger or --query, not both.")
        found = session.api.get(f"/chargers/{segment(charger)}/service", days=days)["items"]
        rows = [(str(one["day"]), *_figures(one)) for one in found]
        _show(session, found, ("DAY",), rows)
        return
    report = session.api.get("/service", by=by, days=days, query=query)
    rows = [
        (one["value"] or "(unknown)", str(one["chargers"]), str(one["failing"]), *_figures(one))
        for one in report["groups"]
    ]
    _show(session, report, (by.upper(), "CHARGERS", "FAILING"), rows)
    if not report["counted"]:
        raise CliError("Nothing is counted yet: no observer has run.", hint="It runs in `ampwave relay`.")


def _show(session: Session, data: Any, first: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    name, *numbers = first
    titles = (
        *numbers,
        "UPTIME",
        "IN USE",
        "MAINTENANCE",
        "KNOWN",
        "FAULTS/DAY",
        "SESSIONS/DAY",
        "MTTR",
        "KWH",
    )
    columns = [Column(name, fold=True), *(Column(title, right=True) for title in titles)]
    session.show(data, lambda screen: screen.table(columns, rows, empty="Nothing is known of these days."))


def _figures(one: Record) -> tuple[str, ...]:
    found = one["figures"]
    shares = [_told(found[name], _percent) for name in ("uptime", "utilisation", "maintenance", "known")]
    rates = [_told(found[name], "{:.2f}".format) for name in ("faults_per_day", "sessions_per_day")]
    return (*shares, *rates, _told(found["mttr_s"], duration), f"{one['sums']['energy_wh'] / 1000:.1f}")


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _told(value: float | None, form: Callable[[float], str]) -> str:
    return "unknown" if value is None else form(value)


def downtime(
    session: Session,
    charger: Identity,
    takes: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="What an update may take, as pace.attempt_deadline. [default: 60m]"
        ),
    ] = None,
) -> None:
    """Show planned downtime: what its uptime obligation allows, what spent it, what is left and when.

    These are the figures by which updates wait for it. A lease counts from when it is taken until it is given
    back or ends.
    """
    found = session.api.get(f"/chargers/{segment(charger)}/downtime", takes_s=taking(takes))
    session.show(found, lambda screen: draw_charger(screen, found))


def meters(session: Session, charger: Identity) -> None:
    """Show what a charger's meters said last, and what it delivered."""
    found = session.api.get(f"/chargers/{segment(charger)}/metering")
    now = session.clock()
    rows = [
        (f"EVSE {evse}", "energy register", f"{one['wh'] / 1000:.3f} kWh", ago(one["at"], now))
        for evse, one in sorted(found["registers"].items())
    ]
    for name, one in sorted(found["readings"].items()):
        evse, _, measurand = name.partition("/")
        rows.append(
            (f"EVSE {evse}", measurand, f"{one['value']:g} {one['unit']}".strip(), ago(one["at"], now))
        )

    def draw(screen: Screen) -> None:
        if found["since"] is None:
            screen.line("It never sent a reading.")
            return
        delivered = f"{found['delivered_wh'] / 1000:.2f} kWh"
        screen.line(f"Delivered {delivered} since the first reading, {ago(found['since'], now)}.")
        columns = (Column("WHERE"), Column("WHAT", fold=True), Column("VALUE", right=True), Column("READ"))
        screen.table(columns, rows, empty="")

    session.show(found, draw)


def trends(session: Session, charger: Identity) -> None:
    """Show whether a charger departs from its own days before; too few days are unknown, not normal."""
    found = session.api.get(f"/chargers/{segment(charger)}/trends")
    columns = (Column("FEATURE"), Column("STATE"), Column("LAST DAYS", fold=True))
    rows = [(str(one["name"]), words(one["trend"]), str(one["says"])) for one in found["features"]]

    def draw(screen: Screen) -> None:
        screen.line(f"{charger}: {words(found['flag'])}")
        screen.table(columns, rows, empty="")

    session.show(found, draw)
