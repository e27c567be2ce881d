"""``ampwave receipt``: what was signed about a charger, checked on this machine alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.errors import CliError, WrongUse
from api.cli.output import Column, Screen
from api.cli.passport_views import draw_passport
from api.cli.session import Session, command, group

if TYPE_CHECKING:
    from signing.testimony import Testimony

app = group("Check what was signed about a charger, offline.")
_MOST = 4 * 1024 * 1024


@command(app, "verify", online=False)
def verify(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A receipt or a firmware passport.")],
    key: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Public key of the signer; repeat for more. [default: record.pub.json, if here]",
        ),
    ] = None,
    charger: Annotated[
        str | None, typer.Option(metavar="CHARGER", help="The charger that it has to be about.")
    ] = None,
) -> None:
    """Check the signature and show what it says. Needs no server, no database and no network."""
    show_testimony(session, checked_testimony(file, key, charger))


def checked_testimony(file: Path, key: list[Path] | None, charger: str | None) -> "Testimony":
    """What a file says, once its signature holds, by the keys given or those of this machine.

    Raises WrongUse, CliError (about another charger), VerificationFailed.
    """
    from api.cli.audit_file import pinned_keys
    from api.cli.credentials import load_settings
    from signing.testimony import open_testimony

    keys = pinned_keys(key, Path() if key else load_settings().keys)
    if not keys:
        raise WrongUse(
            "There is no public key here to check it with.",
            hint="Name the one you were given: --key record.pub.json",
        )
    told = open_testimony(_read(file), {each.keyid: each for each in keys})
    about = str(told.said["charger"].get("charger_id"))
    if charger is not None and about != charger:
        raise CliError(f"This {told.kind} is about {about}, not about {charger}.")
    return told


def show_testimony(session: Session, told: "Testimony") -> None:
    """What was said, and by whose key."""
    shown = {"kind": told.kind, "keyid": told.keyid, "sha256": told.sha256, "said": told.said}
    session.show(shown, lambda screen: _draw(screen, told))


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MOST:
            raise WrongUse(f"{file} is longer than any receipt.")
        return file.read_bytes()
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}.") from error


def _draw(screen: Screen, told: "Testimony") -> None:
    screen.line(f"The signature holds: key {told.keyid[:12]}, {told.kind} {told.sha256[:12]}.")
    screen.line("")
    charger = told.said["charger"]
    screen.fields(
        [
            ("Charger", charger.get("charger_id")),
            ("Model", f"{charger.get('vendor')}/{charger.get('model')}"),
            ("Serial", charger.get("serial_number")),
            ("Site", charger.get("site_id")),
        ]
    )
    if told.kind == "receipt":
        _receipt(screen, told.said)
    else:
        draw_passport(screen, told.said)


def _receipt(screen: Screen, said: dict[str, Any]) -> None:
    asked = said.get("requested") or {}
    screen.fields(
        [
            ("Asked by", f"{asked.get('by')}: {asked.get('reason')}"),
            ("Retired", said.get("retired_at")),
            ("Memory", said.get("wiped")),
            (
                "Never again",
                ", ".join(f"{count} {kind}" for kind, count in (said.get("tombstones") or {}).items()),
            ),
        ]
    )
    steps = said.get("steps") or []
    if steps:
        screen.line("")
        columns = [Column("Step"), Column("How it ended"), Column("In words", fold=True)]
        screen.table(columns, [[each["step"], each["state"], each["detail"]] for each in steps], empty="")
    if said.get("wiped") != "wiped":
        screen.line("What is not done was not confirmed by the charger: take it that it is still there.")
