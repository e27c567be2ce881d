"""``ampwave charger decommission|receipt``: the end of a charger, and what is signed about it."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.errors import CliError, Record, WrongUse
from api.cli.output import Column, Screen, ago, words
from api.cli.references import segment
from api.cli.session import Session, command

Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is on record.")]
Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of chargers."""
    command(app, "decommission", posts=True)(decommission)
    command(app, "receipt")(receipt)
    command(app, "quarantine", posts=True)(quarantine)
    command(app, "release", posts=True)(release)


def decommission(
    session: Session,
    charger: Identity,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; without it, how far it is.")
    ] = None,
    wait: Annotated[
        int,
        typer.Option(
            min=0, metavar="MINUTES", help="How long it may take to reach it and to let sessions end."
        ),
    ] = 60 * 24,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Retire a charger for good: drained, wiped, revoked, cut off, and never let in again.

    A charger that is not reached in time is retired all the same; its receipt says that it is unwiped.
    """
    path = f"/chargers/{segment(charger)}/decommission"
    if reason is None:
        found = session.api.get(path)
    else:
        session.confirm(f"Retire {charger} for good? Nobody can take that back.", yes=yes)
        found = session.api.post(path, {"reason": reason, "wait_minutes": wait})
    session.show(found, lambda screen: _draw(session, screen, found))


def quarantine(
    session: Session,
    charger: Identity,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Set it aside; without it: why it is.")
    ] = None,
) -> None:
    """Set a charger aside: its socket is closed, and nothing is sent to it until a person takes it back.

    Without --reason it shows whether a charger is set aside, why, and what to do next.
    """
    if reason is not None:
        session.api.post(f"/chargers/{segment(charger)}/quarantine", {"reason": reason})
    found = session.api.get(f"/chargers/{segment(charger)}/quarantine")
    session.show(found, lambda screen: draw_quarantine(screen, found, session.clock()))


def release(session: Session, charger: Identity, reason: Why) -> None:
    """Take a charger back out of quarantine, once nothing critical is in doubt of it."""
    found = session.api.post(f"/chargers/{segment(charger)}/release", {"reason": reason})
    session.show(found, lambda screen: screen.line(f"{charger} is {found['lifecycle']}."))


def draw_quarantine(screen: Screen, found: Record, now: datetime) -> None:
    """Why it is set aside, what is open, and the way out."""
    current = found["current"]
    if current is None:
        screen.line(f"{found['charger_id']} is {words(found['lifecycle'])}, not set aside.")
    else:
        screen.fields(
            [
                ("Set aside", f"{ago(current['since'], now)} by {current['actor']}"),
                ("Why", f"{current['reason']} ({words(current['signal'])})"),
                ("Was", words(current["before"])),
                ("Not allowed", "; ".join(name for name, may in found["allowed"].items() if not may)),
                ("Allowed", "; ".join(name for name, may in found["allowed"].items() if may)),
            ]
        )
    for doubt in found["doubts"]:
        screen.line(f"{doubt['path']}: {doubt['suspicion']}. {doubt['advice']}")
    if found["next"]:
        screen.line(found["next"])
    over = [each for each in found["stays"] if each["released_at"]]
    if over:
        screen.line("")
        columns = [Column("Earlier stay"), Column("Why", fold=True), Column("How it ended", fold=True)]
        screen.table(columns, [_stay(each, now) for each in over], empty="")


def _stay(given: Record, now: datetime) -> tuple[str, str, str]:
    ended = f"{words(given['after'])} by {given['released_by']}: {given['release_reason']}"
    return ago(given["since"], now), given["reason"], ended


def _draw(session: Session, screen: Screen, found: Record) -> None:
    rows = [
        ("State", found["state"]),
        ("Asked by", f"{found['actor']}, {ago(found['requested_at'], session.clock())}: {found['reason']}"),
        ("Memory", found["wiped"] if found["steps"] else ""),
        ("Waits for", found["waits_for"]),
        ("Receipt", found["receipt_sha256"]),
    ]
    screen.fields([(name, value) for name, value in rows if value])
    if found["steps"]:
        screen.line("")
        columns = [Column("Step"), Column("How it ended"), Column("In words", fold=True)]
        screen.table(
            columns, [[each["step"], each["state"], each["detail"]] for each in found["steps"]], empty=""
        )
    if found["receipt_sha256"]:
        screen.line(f"Keep its receipt: ampwave charger receipt {found['charger_id']} FILE")


def receipt(
    session: Session,
    charger: Identity,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
) -> None:
    """Save the signed receipt of a retired charger; `ampwave receipt verify` checks it anywhere."""
    if file.exists():
        raise WrongUse(f"{file} is there already.", hint="Name a new file.")
    found = session.api.get(f"/chargers/{segment(charger)}/decommission")
    sha256 = found["receipt_sha256"]
    if sha256 is None:
        raise CliError(
            f"{charger} has no receipt yet: it is {found['state']}.",
            hint=f"See what it waits for: ampwave charger decommission {charger}",
        )
    session.api.download(f"/chargers/{segment(charger)}/receipt", file, sha256=sha256)
    shown = {"charger_id": charger, "file": str(file), "sha256": sha256}

    def draw(screen: Screen) -> None:
        screen.line(f"The receipt of {charger} is in {file}.")
        screen.line(
            f"Check it anywhere, without this server: ampwave receipt verify {file} --key record.pub.json"
        )

    session.show(shown, draw)
