"""``ampwave charger configure|configurations``: one set of values for many chargers (F25)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.errors import Record, WrongUse
from api.cli.output import Column, Screen, ago, counted, words
from api.cli.references import segment
from api.cli.session import Session, command

_LOOK_S = 2.0
_EXIT_INTERRUPTED = 130
_GOOD = frozenset({"waiting", "accepted", "needs_restart"})


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of chargers."""
    command(app, "configure", posts=True)(configure)
    command(app, "configurations")(configurations)


def configure(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    assignments: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUE...", help="Variables or 1.6 keys, for example HeartbeatInterval=300."
        ),
    ],
    charger: Annotated[
        list[str] | None, typer.Option("--charger", metavar="ID", help="This one (repeat).")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Chargers, one identity a line.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="VENDOR/MODEL", help="All of this model.")] = None,
    site: Annotated[str | None, typer.Option(metavar="SITE", help="All at this site.")] = None,
    version: Annotated[str | None, typer.Option(metavar="TEXT", help="All on this firmware.")] = None,
    hours: Annotated[
        int,
        typer.Option(min=1, max=720, metavar="N", help="Chargers that are not reached by then are given up."),
    ] = 24,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show who would get what; send nothing.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay until every charger has its result.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Bring values to many chargers: desired of all at once, sent to each when it is connected and free.

    The job is durable: it goes on by itself after a crash or restart, and with the same --idempotency-key
    it is never opened twice. `ampwave charger configurations JOB` shows each charger's result.
    """
    body = _body(assignments, charger, file, model, site, version)
    body["deadline_seconds"] = hours * 3600
    preview = session.api.post("/configurations/preview", body)
    if dry_run:
        session.show(preview, lambda screen: _draw_preview(screen, preview))
        return
    values, chargers = counted(len(body["values"]), "value"), counted(preview["chargers"], "charger")
    session.confirm(f"Bring {values} to {chargers}?", yes=yes)
    job = session.api.post("/configurations", body)
    name = job["configuration_id"]
    if not watch:
        session.show(job, lambda screen: _draw_started(screen, job, preview["chargers"]))
        return
    session.note(f"Job {name} for {chargers}; Ctrl-C stops watching, not the job.")
    _show_job(session, _follow(session, name))


def configurations(
    session: Session,
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", help="Only this one, charger by charger.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="Only chargers in this state: waiting, refused, expired, ..."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay until every charger has its result.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Send to no more chargers.")] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 100,
) -> None:
    """List configuration jobs, or show what became of one, charger by charger."""
    if job is None:
        if state or watch or stop:
            raise WrongUse("Say which job.", hint="`ampwave charger configurations` lists them.")
        found = session.api.get("/configurations", limit=min(limit, 200))["items"]
        session.show(found, lambda screen: _draw_jobs(screen, found, session))
        return
    place = f"/configurations/{segment(job)}"
    shown = session.api.post(f"{place}/stop") if stop else session.api.get(place)
    _show_job(session, _follow(session, job) if watch else shown, state=state, limit=limit)


def _body(
    assignments: list[str],
    chargers: list[str] | None,
    file: Path | None,
    model: str | None,
    site: str | None,
    version: str | None,
) -> dict[str, Any]:
    from api.cli.planfile import parse_model

    body: dict[str, Any] = {"values": _values(assignments)}
    named = [*(chargers or []), *(_lines(file) if file else [])]
    filters = {"site_id": site, "firmware_version": version}
    if model:
        filters["vendor"], filters["model"] = parse_model(model)
    filters = {name: value for name, value in filters.items() if value is not None}
    if bool(named) == bool(filters):
        raise WrongUse(
            "Say for which chargers: by name, or by filter, not both.",
            hint="--charger or --file, or else --model, --site or --version.",
        )
    return {**body, **filters, **({"charger_ids": named} if named else {})}


def _values(assignments: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for each in assignments:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise WrongUse(f"{each!r} is no NAME=VALUE.", hint="Write for example HeartbeatInterval=300.")
        if name in values:
            raise WrongUse(f"{name} is given twice.")
        values[name] = value
    return values


def _lines(file: Path) -> list[str]:
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{file} cannot be read as text.") from error
    if not any(lines):
        raise WrongUse(f"{file} names no charger.")
    return [line for line in lines if line]


def _follow(session: Session, job: str) -> Record:
    """The job once it has ended; it goes on without us."""
    said = ""
    try:
        while True:
            found: Record = session.api.get(f"/configurations/{segment(job)}")
            text = _counted(found["counts"])
            if text != said and not session.json:
                session.note(text)
            said = text
            if found["state"] != "running":
                return found
            session.pause(_LOOK_S)
    except KeyboardInterrupt:
        session.note(f"Stopped watching; the job goes on: ampwave charger configurations {job} --watch")
        raise typer.Exit(_EXIT_INTERRUPTED) from None


def _show_job(session: Session, job: Record, *, state: str | None = None, limit: int = 100) -> None:
    place = f"/configurations/{segment(job['configuration_id'])}/chargers"
    lines = list(session.api.pages(place, limit, state=state))
    session.show({**job, "chargers": lines}, lambda screen: _draw_job(screen, job, lines))
    if job["state"] != "running" and set(job["counts"]) - _GOOD:
        raise typer.Exit(1)


def _counted(counts: Record) -> str:
    parts = [f"{number} {words(state)}" for state, number in sorted(counts.items())]
    return ", ".join(parts) or "nobody yet"


def _draw_started(screen: Screen, job: Record, chargers: int) -> None:
    name = job["configuration_id"]
    values = counted(len(job["values"]), "value")
    screen.line(f"Job {name} brings {values} to {counted(chargers, 'charger')}.")
    screen.line(f"It goes on by itself: ampwave charger configurations {name} --watch")


def _draw_preview(screen: Screen, preview: Record) -> None:
    screen.line(f"{counted(preview['chargers'], 'charger')} would get these values; nothing was sent.")
    screen.line(f"{preview['same']} of them report all of these values already.")
    screen.line()
    columns = (Column("CHARGER"), Column("NOW"), Column("WOULD CHANGE", fold=True))
    rows = [
        (
            str(one["charger_id"]),
            "online" if one["online"] else "offline",
            ", ".join(one["differs"]) or "nothing",
        )
        for one in preview["items"]
    ]
    screen.table(columns, rows, empty="")
    left = preview["chargers"] - len(preview["items"])
    if left:
        screen.line(f"{left} more are not shown.")


def _draw_jobs(screen: Screen, jobs: list[Record], session: Session) -> None:
    columns = (Column("JOB"), Column("STATE"), Column("VALUES", fold=True), Column("BY"), Column("CREATED"))
    rows = [
        (
            str(one["configuration_id"]),
            words(one["state"]),
            ", ".join(f"{name}={value}" for name, value in one["values"].items()),
            str(one["actor"]),
            ago(one["created_at"], session.clock()),
        )
        for one in jobs
    ]
    screen.table(columns, rows, empty="No jobs yet: ampwave charger configure NAME=VALUE --site SITE")


def _draw_job(screen: Screen, job: Record, lines: list[Record]) -> None:
    screen.line(f"Job {job['configuration_id']} is {words(job['state'])}: {_counted(job['counts'])}.")
    screen.line()
    columns = (Column("CHARGER"), Column("RESULT"), Column("TRIES", right=True), Column("WHY", fold=True))
    rows = [
        (str(one["charger_id"]), words(one["state"]), str(one["attempts"]), str(one["reason"] or "-"))
        for one in lines
    ]
    screen.table(columns, rows, empty="No charger is in that state.")
    total = sum(job["counts"].values())
    if len(lines) < total:
        screen.line(f"{len(lines)} of {total} are shown; --limit and --state show others.")
