"""``ampwave charger send``, ``rotate-password`` and ``logs``: what people have one charger do."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli import charger_views as views
from api.cli.errors import CliError, Record, WrongUse
from api.cli.output import words
from api.cli.references import file_name, segment
from api.cli.session import Session, command

Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]
_LOOK_S = 1.0
_KINDS = ("diagnostics", "security")

# As the api has them; a test compares. Written out, so that --help imports none of it.
COMMANDS: dict[str, tuple[tuple[str, str], ...]] = {
    "Read": (
        ("trigger", "Have a message sent now: --message StatusNotification."),
        ("get-variables", "Read variables or 1.6 keys: --names A.B (repeat); none: all."),
        ("get-base-report", "Have the whole device model reported (2.x)."),
        ("get-report", "Have a part of it reported (2.x)."),
        ("get-monitoring-report", "Have its monitors reported (2.x)."),
        ("get-local-list-version", "Which local list it has."),
        ("get-installed-certificates", "Which certificates it has."),
    ),
    "Operate": (
        ("reset", "Restart it: --kind OnIdle or Immediate."),
        ("change-availability", "Out of service or back: --operative no or yes."),
    ),
    "Security": (
        ("install-certificate", "Install a root: --use CSMSRootCertificate --certificate @root.pem."),
        ("delete-certificate", "Delete one, named as the charger named it."),
        ("certificate-signed", "Hand it what your CA signed: --chain @chain.pem."),
        ("set-network-profile", "Write a connection into a slot that it does not use (2.x)."),
        ("rotate-password", "Give it a new password that nobody sees."),
    ),
    "Configure": (
        ("set-variables", "Write variables or 1.6 keys: --values NAME=VALUE (repeat)."),
        ("clear-cache", "Forget the ids that were authorised lately."),
        ("send-local-list", "Empty its local list: --version N."),
        ("set-monitoring", "Set a monitor on a variable (2.x)."),
        ("clear-monitoring", "Remove monitors (2.x): --monitor-ids N (repeat)."),
        ("set-monitoring-base", "Which monitors are there at all (2.x)."),
        ("set-monitoring-level", "Report events this grave and graver (2.x)."),
        ("get-log", "Have a log uploaded to an address of yours."),
        ("data-transfer", "A vendor's own message; the node's settings say of whom."),
        ("customer-information", "Have it forget a customer (2.x)."),
        ("unpublish-firmware", "Have a local controller offer an image no more (2.x)."),
    ),
}


def _epilog() -> str:
    width = max(len(name) for rows in COMMANDS.values() for name, _ in rows)
    parts = []
    for title, rows in COMMANDS.items():
        lines = [f"  {name.ljust(width)}  {summary}" for name, summary in rows]
        parts.append("\b\n" + "\n".join([f"{title}:", *lines]))
    parts.append(
        "A wrong option shows the right ones. A value that begins with @ is read from that file. "
        "Firmware is not sent here: ampwave campaign."
    )
    return "\n\n".join(parts)


def register(app: typer.Typer) -> None:
    """Add them to the group."""
    loose = {"ignore_unknown_options": True, "allow_interspersed_args": True}
    command(app, "send", posts=True, context_settings=loose, epilog=_epilog())(send)
    command(app, "logs", posts=True)(logs)
    command(app, "rotate-password", posts=True)(rotate_password)
    command(app, "downloads")(downloads)


def send(
    session: Session,
    charger: Identity,
    name: Annotated[str, typer.Argument(metavar="COMMAND", help="One of those below.")],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[OPTIONS OF THE COMMAND]", help="See below.")
    ] = None,
    deadline: Annotated[
        float, typer.Option(min=1, max=40, metavar="SECONDS", help="How long it may take to answer.")
    ] = 20.0,
) -> None:
    """Send one command to one charger and show its answer. No session is ever cut."""
    from api.cli.command_options import parse

    body = {**parse(name, options or []), "deadline_seconds": deadline}
    answer = session.api.post(f"/chargers/{segment(charger)}/commands", body)
    session.show(answer, lambda screen: views.draw_command(screen, answer))


def rotate_password(
    session: Session,
    charger: Identity,
    deadline: Annotated[
        float, typer.Option(min=1, max=40, metavar="SECONDS", help="How long it may take to answer.")
    ] = 20.0,
) -> None:
    """Give one charger a new password. Nobody sees it; the old one dies once the charger has the new one."""
    body = {"command": "rotate-password", "deadline_seconds": deadline}
    answer = session.api.post(f"/chargers/{segment(charger)}/commands", body)
    session.show(answer, lambda screen: views.draw_command(screen, answer))


def logs(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    charger: Identity,
    kind: Annotated[str, typer.Option(metavar="KIND", help="diagnostics or security.")] = "diagnostics",
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Oldest entry: RFC 3339, or an age like 2h or 3d.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Latest entry.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it. [default: its name]"),
    ] = None,
    deadline: Annotated[
        float, typer.Option(min=30, max=86400, metavar="SECONDS", help="How long it may take to upload.")
    ] = 900.0,
    listing: Annotated[
        bool, typer.Option("--list", help="Show the logs that were asked for; ask for none.")
    ] = False,
) -> None:
    """Have a charger upload a log to our store, and fetch it."""
    place = f"/chargers/{segment(charger)}/logs"
    if listing:
        found = list(session.api.get(place)["items"])
        session.show(found, lambda screen: views.draw_logs(screen, found, session.clock()))
        return
    if kind not in _KINDS:
        raise WrongUse(f"--kind {kind}: write {' or '.join(_KINDS)}.")
    now = session.clock()
    body = {
        "kind": kind,
        "since": moment_of(since, now),
        "until": moment_of(until, now),
        "deadline_seconds": deadline,
    }
    asked = session.api.post(place, body)
    if not session.json:
        session.note(f"{charger} is asked for its {kind} log (log {asked['log_id']}).")
    ended = _awaited(session, f"{place}/{asked['log_id']}", asked)
    if ended["state"] != "uploaded":
        raise CliError(
            f"No log came from {charger}: {ended['reason']} ({words(ended['state'])}).",
            hint=f"`ampwave charger timeline {charger}` shows what it said.",
        )
    file = _fetched(session, f"{place}/{asked['log_id']}/content", ended["upload"], output)
    session.show({**ended, "file": str(file)}, lambda screen: views.draw_log(screen, ended, file))


def downloads(session: Session, charger: Identity) -> None:
    """Show how far a charger got with its firmware downloads, latest first."""
    found = list(session.api.get(f"/chargers/{segment(charger)}/downloads")["items"])
    session.show(found, lambda screen: views.draw_downloads(screen, found, session.clock()))


def _awaited(session: Session, place: str, asked: Record) -> Record:
    """The log once its retrieval has ended; it goes on there if we are interrupted."""
    said = ""
    while asked["state"] in ("requested", "asked"):
        if asked["reason"] != said and not session.json:
            said = asked["reason"]
            session.note(f"{said[:1].upper()}{said[1:]}.")
        session.pause(_LOOK_S)
        asked = session.api.get(place)
    return asked


def _fetched(session: Session, place: str, upload: Mapping[str, Any], output: Path | None) -> Path:
    """Written beside its name first, and checked: a file that is there is whole."""
    file = output or Path(file_name(upload["filename"]))
    if output is None and file.exists():
        raise WrongUse(f"{file} is there already.", hint="Say where to write: --output FILE.")
    session.api.download(place, file, sha256=str(upload["sha256"]))
    return file


def moment_of(text: str | None, now: datetime) -> str | None:
    """An instant in RFC 3339, from one or from an age like 2h. Raises WrongUse."""
    if text is None:
        return None
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if text[:-1].isdigit() and text[-1] in units:
        return (now - timedelta(seconds=int(text[:-1]) * units[text[-1]])).isoformat()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUse(
            f"{text!r} is no time.", hint="Write 2026-03-01T12:00:00Z, or an age like 2h."
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()
