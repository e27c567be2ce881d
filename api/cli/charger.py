"""``ampwave charger``: who is in the fleet, and what happened to them."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli import (
    charger_acts,
    charger_configure,
    charger_connection,
    charger_evidence,
    charger_life,
    charger_move,
    charger_passport,
    charger_penalty,
    charger_registry,
    charger_reprovision,
    charger_retired,
    charger_service,
    charger_twin,
    charger_upkeep,
)
from api.cli import charger_views as views
from api.cli.errors import CliError, WrongUse
from api.cli.references import segment
from api.cli.session import Session, command, group
from api.timeline_words import folded

app = group("Import, register and look at chargers, and have them do things.")

charger_twin.attach(app)
charger_penalty.attach(app)
Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]
QueryOption = Annotated[
    str | None,
    typer.Option("--query", "-q", metavar="QUERY", help='As in "faulted and version < 2.1"; docs/QUERY.md.'),
]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")]
_BEATS = 20
"""Of so many entries to a line of a timeline, heartbeats are told apart."""
_MEDIA = {".csv": "text/csv", ".json": "application/json"}


@command(app, "import", posts=True)
def import_(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header line, or a JSON list.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, change nothing.")
    ] = False,
) -> None:
    """Register many chargers. Good rows are in even if others are refused."""
    media = _MEDIA.get(file.suffix.lower())
    if media is None:
        raise WrongUse(f"{file} is neither .csv nor .json.")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}.") from error
    result = session.api.post_bytes("/chargers/import", content, media, dry_run=str(dry_run).lower())
    session.show(result, lambda screen: views.draw_import(screen, result))
    if result["refused"]:
        raise CliError(
            f"{result['refused']} of {len(result['rows'])} rows were refused.",
            hint="Mend them and import the whole file again: rows that are in stay as they are.",
        )


@command(app, "register", posts=True)
def register(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    charger: Identity,
    site: Annotated[str, typer.Option(metavar="SITE", help="Where it stands.")],
    model: Annotated[str, typer.Option(metavar="VENDOR/MODEL", help="As it reports them at boot.")],
    serial: Annotated[str | None, typer.Option(metavar="TEXT", help="Serial number.")] = None,
    hardware: Annotated[str | None, typer.Option(metavar="TEXT", help="Hardware revision.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its password, 16 to 40 characters, on one line.")
    ] = None,
    make_password: Annotated[
        bool, typer.Option("--make-password", help="Make a password and show it this once.")
    ] = False,
    profile: Annotated[
        int, typer.Option(min=0, max=3, metavar="N", help="Lowest OCPP security profile it may use.")
    ] = 0,
    operator: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Who runs it; restricts nobody's access.")
    ] = None,
    group: Annotated[str | None, typer.Option(metavar="TEXT", help="Its group of sites.")] = None,
    location: Annotated[str | None, typer.Option(metavar="TEXT", help="Where at the site.")] = None,
    installer: Annotated[str | None, typer.Option(metavar="TEXT", help="Who put it up.")] = None,
) -> None:
    """Register one charger before its first contact."""
    from api.cli.planfile import parse_model

    vendor, name = parse_model(model)
    body: dict[str, Any] = {
        "charger_id": charger,
        "site_id": site,
        "vendor": vendor,
        "model": name,
        "serial_number": serial,
        "hardware_revision": hardware,
        "password": _password(password_file, make_password),
        "security_floor": profile,
    }
    owned = {"operator": operator, "site_group": group, "location": location, "installer": installer}
    body |= {name: value for name, value in owned.items() if value is not None}
    stored = session.api.post("/chargers", body)
    made = {"password": body["password"]} if make_password else {}
    session.show(
        {**stored, **made}, lambda screen: views.draw_registered(screen, stored, made.get("password"))
    )


@command(app, "list")
def list_(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    model: Annotated[str | None, typer.Option(metavar="VENDOR/MODEL")] = None,
    site: Annotated[str | None, typer.Option(metavar="SITE")] = None,
    version: Annotated[str | None, typer.Option(metavar="TEXT", help="Running this firmware.")] = None,
    online: Annotated[bool | None, typer.Option("--online/--offline", help="Connected now, or not.")] = None,
    query: QueryOption = None,
    limit: Limit = 200,
) -> None:
    """List chargers that match the query and every filter."""
    from api.cli.planfile import parse_model

    vendor, name = parse_model(model) if model else (None, None)
    found = session.api.pages(
        "/chargers",
        limit,
        vendor=vendor,
        model=name,
        site_id=site,
        firmware_version=version,
        online=None if online is None else str(online).lower(),
        query=query,
    )
    chargers = list(found)
    filtered = bool(model or site or version or query or online is not None)
    session.show(
        chargers,
        lambda screen: views.draw_list(screen, chargers, session.clock(), limit=limit, filtered=filtered),
    )


@command(app, "count")
def count(
    session: Session,
    by: Annotated[
        str, typer.Option("--by", metavar="FIELD[,FIELD]", help="One or two fields of docs/QUERY.md.")
    ] = "vendor,model",
    query: QueryOption = None,
    top: Annotated[
        int, typer.Option(min=1, max=500, metavar="N", help="So many groups; the rest is one.")
    ] = 20,
    rates: Annotated[
        bool, typer.Option("--rates", help="Also faults and failed updates of each group.")
    ] = False,
) -> None:
    """Count chargers by what they are, the largest groups first."""
    options: dict[str, str | int] = {"by": by, "top": top, "rates": str(rates).lower()}
    found = session.api.get("/chargers/counts", query=query, **options)
    session.show(found, lambda screen: views.draw_counts(screen, found))


@command(app, "show")
def show(
    session: Session,
    charger: Identity,
    known_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="What we knew then: 2026-11-25T12:00:00Z.")
    ] = None,
    true_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="What was true then, late reports in their place.")
    ] = None,
    revision: Annotated[int | None, typer.Option(min=0, metavar="N", help="The twin at a revision.")] = None,
) -> None:
    """Show one charger: what it runs, its connectors and what is done to it; or its twin as it was."""
    if known_at or true_at or revision is not None:
        charger_twin.show_past(session, charger, known_at=known_at, true_at=true_at, revision=revision)
        return
    found = session.api.get(f"/chargers/{segment(charger)}")
    session.show(found, lambda screen: views.draw_charger(screen, found, session.clock()))


@command(app, "timeline")
def timeline(
    session: Session,
    charger: Identity,
    what: Annotated[
        str,
        typer.Option(
            metavar="WHAT,...", help="event, alarm, reset, error, act, change, or kinds of events by name."
        ),
    ] = "event,act",
    since: Annotated[str | None, typer.Option(metavar="TIME", help="2026-11-25T12:00:00Z")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Not the end itself.")] = None,
    limit: Limit = 50,
) -> None:
    """Show what happened to a charger and what people did to it, newest first.

    Heartbeats are one line, unless --what names heartbeat_received.
    """
    path = f"/chargers/{segment(charger)}/timeline"
    whole = session.json or "heartbeat_received" in what
    entries = session.api.pages(path, limit if whole else _BEATS * limit, what=what, since=since, until=until)
    shown = [(one, 1) for one in entries] if whole else folded(entries, lambda one: str(one["kind"]), limit)
    data = [one for one, _ in shown]
    session.show(data, lambda screen: views.draw_timeline(screen, shown, session.clock()))


charger_acts.register(app)
charger_upkeep.register(app)
charger_configure.attach(app)
charger_registry.attach(app)
charger_move.attach(app)
charger_evidence.attach(app)
charger_passport.attach(app)
charger_retired.attach(app)
charger_service.attach(app)
charger_life.attach(app)
charger_connection.attach(app)
charger_reprovision.attach(app)


@command(app, "sessions")
def sessions(session: Session, charger: Identity, limit: Limit = 20) -> None:
    """List a charger's charging sessions, latest first."""
    from api.cli.watch_views import draw_sessions

    found = list(session.api.pages(f"/chargers/{segment(charger)}/sessions", limit))
    session.show(found, lambda screen: draw_sessions(screen, found, session.clock(), limit=limit))


@command(app, "session")
def session_(
    session: Session,
    charger: Identity,
    transaction: Annotated[str, typer.Argument(metavar="SESSION", help="Its transaction id.")],
    limit: Limit = 500,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all of it to a new file, a JSON document a line."),
    ] = None,
) -> None:
    """Show one session with every frame and event while it went on, oldest first."""
    from api.cli import session_file
    from api.cli.watch_views import draw_session

    path = f"/chargers/{segment(charger)}/sessions/{segment(transaction)}"
    found = session.api.get(path)
    if export is not None:
        done = session_file.write(export, found, session.api.pages(f"{path}/timeline", sys.maxsize))
        said = f"{done.frames} frames and {done.events} events are in {export}, SHA-256 {done.sha256}."
        session.show(asdict(done), lambda screen: screen.line(said))
        return
    entries = list(session.api.pages(f"{path}/timeline", limit))
    data = {"session": found, "items": entries}
    session.show(data, lambda screen: draw_session(screen, found, entries, session.clock()))


@command(app, "health")
def health(
    session: Session,
    charger: Identity,
    hours: Annotated[int, typer.Option(min=1, max=744, metavar="N", help="The last so many.")] = 24,
    baseline_days: Annotated[
        int, typer.Option("--baseline-days", min=1, max=28, metavar="N", help="Days before, to compare with.")
    ] = 14,
) -> None:
    """Show the health signals of a charger; unknown is not fine."""
    from api.cli.watch_views import draw_health

    options: dict[str, str | int] = {"hours": hours, "baseline_days": baseline_days}
    found = session.api.get("/health/signals", chargers=charger, **options)
    if not found["chargers"]:
        raise CliError(f"There is no charger {charger!r}.")
    session.show(found, lambda screen: draw_health(screen, found))


def _password(file: Path | None, make: bool) -> str | None:
    if file is not None and make:
        raise WrongUse("Give --password-file or --make-password, not both.")
    if make:
        import secrets

        # 40 hex digits: 20 bytes of 1.6's AuthorizationKey, whose makes often take hex only, and 2.x text.
        return secrets.token_hex(20)
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{file} cannot be read.") from error
