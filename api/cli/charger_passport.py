"""``ampwave charger passport|verify-passport``: what a charger was given to run, signed, checked offline."""

import re
from pathlib import Path
from typing import Annotated

import typer

from api.cli.errors import CliError, WrongUse
from api.cli.output import Screen
from api.cli.receipt import checked_testimony, show_testimony
from api.cli.references import segment
from api.cli.session import Session, command

Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of chargers."""
    command(app, "passport", posts=True)(passport)
    command(app, "verify-passport", online=False)(verify_passport)


def passport(
    session: Session,
    charger: Identity,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A new file. [default: CHARGER.passport.json]")
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; it is on record, and in the document.")
    ] = "asked for by hand",
) -> None:
    """Save the signed history of a charger's firmware: images, approvals, verdicts, proofs, certificates."""
    into = file or Path(f"{re.sub(r'[^A-Za-z0-9._-]', '_', charger)}.passport.json")
    if into.exists():
        raise WrongUse(f"{into} is there already.", hint="Name a new file.")
    path = f"/chargers/{segment(charger)}/passport"
    made = session.api.post(path, {"reason": reason}, patience_s=60.0)
    session.api.download(f"{path}/{made['sha256']}", into, sha256=made["sha256"])

    def draw(screen: Screen) -> None:
        screen.line(f"The firmware passport of {charger} is in {into}.")
        screen.line("Check it anywhere, without this server, with the signer's public key:")
        screen.line(f"  ampwave charger verify-passport {into} --key record.pub.json")

    session.show({**made, "file": str(into)}, draw)


def verify_passport(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A firmware passport.")],
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="Public key of the signer; repeat for more. [default: record.pub.json, if here]",
        ),
    ] = None,
    charger: Annotated[
        str | None, typer.Option("--charger", metavar="CHARGER", help="The charger that it has to be about.")
    ] = None,
) -> None:
    """Check a firmware passport and show what it says. Needs no server, no database and no network."""
    told = checked_testimony(file, key, charger)
    if told.kind != "passport":
        raise CliError(f"{file} is a {told.kind}, no passport.", hint=f"ampwave receipt verify {file}")
    show_testimony(session, told)
