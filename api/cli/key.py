"""``ampwave key``: keys that people sign releases with. They stay where they are made."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.errors import WrongUse
from api.cli.output import Column, Screen, short
from api.cli.session import Session, command, group

app = group("Make and list keys to sign releases with.")


@command(app, "create", online=False)
def create(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, as in ada.pem.")],
) -> None:
    """Make an ed25519 key that only you can read. For tokens and HSMs make it there instead."""
    from signing.keys import ensure_key_file, file_address

    if file.suffix != ".pem":
        raise WrongUse(f"{file} should end in .pem.")
    public = file.with_suffix(".pub.json")
    for path in (file, public):
        if path.exists():
            raise WrongUse(f"{path} is there already; a key is never overwritten.", hint="Name a new file.")
    key = ensure_key_file(file)
    made = {"keyid": key.keyid, "address": file_address(file), "public_file": str(public)}

    def draw(screen: Screen) -> None:
        screen.fields(
            [("Key id", key.keyid), ("Address", made["address"]), ("Public half", made["public_file"])]
        )
        screen.line()
        screen.line(
            f"Hand {public} to whoever keeps the targets role; it counts once they sign it in.\n"
            f"The private half in {file} is not encrypted: keep it on a disk that is, and never send it."
        )

    session.show(made, draw)


@command(app, "list", online=False)
def list_(
    session: Session,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="[default: this machine's development keys]")
    ] = None,
) -> None:
    """List the key files in a folder with their key ids and addresses."""
    from api.cli.credentials import load_settings
    from signing.keys import file_address, read_public

    folder = folder or load_settings().keys
    found = [(path, read_public(path)) for path in sorted(folder.glob("*.pub.json"))]
    keys = [
        {
            "name": path.name.removesuffix(".pub.json"),
            "keyid": key.keyid,
            "kind": key.scheme,
            "address": file_address(path.with_name(path.name.removesuffix(".pub.json") + ".pem")),
        }
        for path, key in found
    ]
    columns = (Column("NAME"), Column("KEY ID"), Column("KIND", optional=True), Column("ADDRESS", fold=True))
    rows = [(one["name"], short(one["keyid"]), one["kind"], one["address"]) for one in keys]
    empty = f"No keys in {folder}. Make one: ampwave key create FILE.pem"
    session.show(keys, lambda screen: screen.table(columns, rows, empty=empty))
