"""``ampwave tuf``: the signed repository, checked on this machine from your own root."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli import tuf_ceremony, tuf_drill, tuf_policy, tuf_verify
from api.cli.errors import Record
from api.cli.fetch import fetch_for
from api.cli.output import Column, Screen, ago
from api.cli.session import Session, command, group

app = group("Set up and check the signed repository.")
tuf_ceremony.register(app)
tuf_drill.register(app)
tuf_policy.register(app)
tuf_verify.register(app)

Root = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Your own root.json. [default: the one in the settings]")
]
Folder = Annotated[
    Path | None, typer.Option("--dir", metavar="DIR", help="Metadata files in a folder; needs no api.")
]


@command(app, "develop", online=False)
def develop(
    session: Session,
    role: Annotated[list[str], typer.Option(metavar="ROLE", help="A vendor role to have; repeat for more.")],
    manufacturer_root: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE:FILE", help="The root certificate (PEM) that signs its firmware; repeat."),
    ] = None,
) -> None:
    """Make a repository with keys FOR DEVELOPMENT. Run again, it adds roles and changes nothing else.

    All keys end up on this machine. In production each person makes their own, offline: see
    signing/CEREMONY.md and `ampwave tuf init`.
    """
    from api.cli.ceremony import make_repository

    made = make_repository(role, manufacturer_root or [])

    def draw(screen: Screen) -> None:
        screen.line("A new repository was made." if made["created"] else "The repository was there already.")
        screen.fields(
            [
                ("Vendor roles", ", ".join(made["vendor_roles"])),
                ("Keys, FOR DEVELOPMENT", made["keys"]),
                ("Trusted root", made["trusted_root"]),
            ]
        )

    session.show(made, draw)


@command(app, "status")
def status(session: Session, root: Root = None, folder: Folder = None) -> None:
    """Show every role's version, keys and expiry, after verifying all of it."""
    rows = _verified(session, root, folder)
    session.show(rows, lambda screen: _draw(screen, rows, session))


def _verified(session: Session, root: Path | None, folder: Path | None) -> list[Record]:
    from api.cli.credentials import load_settings
    from api.cli.repository import read_root, verify_repository

    trusted = read_root(root or load_settings().trusted_root_path)
    now = session.clock()
    return [state.document(now) for state in verify_repository(fetch_for(session, folder), trusted, now)]


def _draw(screen: Screen, rows: list[Record], session: Session) -> None:
    columns = (
        Column("ROLE"),
        Column("VERSION", right=True),
        Column("KEYS"),
        Column("EXPIRES"),
        Column("RELEASES", right=True, optional=True),
        Column("TO DO", fold=True),
    )
    now = session.clock()
    cells = [
        (
            str(row["role"]),
            str(row["version"]),
            f"{row['threshold']} of {row['keys']}",
            ago(row["expires"], now),
            "-" if row["releases"] is None else str(row["releases"]),
            str(row["advice"]) or "-",
        )
        for row in rows
    ]
    screen.table(columns, cells, empty="No roles.")
    screen.line()
    screen.line("All of it is verified from your own root.")
