"""``ampwave cert root``: a new root for the server's chain, in the order in which nobody is left behind."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.cert_renewals import show_renewal
from api.cli.errors import WrongUse
from api.cli.output import Screen
from api.cli.session import Session, command, group

app = group("Change the root that chargers know the server by: install, ready, delete.")
File = Annotated[Path, typer.Argument(metavar="FILE", help="The new root, PEM.")]
Chargers = Annotated[list[str] | None, typer.Option("--charger", metavar="CHARGER", help="Repeat for more.")]
Query = Annotated[
    str | None, typer.Option("--query", metavar="QUERY", help="In the query language (docs/QUERY.md).")
]
Canary = Annotated[int, typer.Option(min=1, metavar="N", help="Chargers of the first wave.")]


@command(app, "install", posts=True)
def install(
    session: Session, file: File, charger: Chargers = None, query: Query = None, canary: Canary = 1
) -> None:
    """1. Give chargers the new root, a canary first; each has it once it lists it."""
    body = {"name": f"install {file.name}", "root": read(file), **_who(charger, query), "canary": canary}
    show_renewal(session, session.api.post("/roots/installations", body))


@command(app, "ready")
def ready(session: Session, file: File) -> None:
    """2. Would everybody come back under a chain of this root? Switch the nodes' chain only then."""
    found = session.api.post("/roots/readiness", {"root": read(file)})

    def draw(screen: Screen) -> None:
        screen.line(f"{found['trusting']} chargers list this root, {found['missing']} do not.")
        for charger_id in found["missing_chargers"][:50]:
            screen.line(f"  {charger_id}")
        if found["missing"]:
            screen.line("Those would not come back: do not switch yet.")
        else:
            screen.line("Switch AMPWAVE_CSMS_TLS_CERT_FILE and its key on every node; no restart is needed.")

    session.show(found, draw)


@command(app, "delete", posts=True)
def delete(
    session: Session,
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The root that is no longer needed, PEM.")],
    new: Annotated[Path, typer.Option(metavar="FILE", help="The root of the chain that is shown now, PEM.")],
    since: Annotated[
        str, typer.Option(metavar="TIME", help="When the last node showed the new chain, RFC 3339.")
    ],
    charger: Chargers = None,
    query: Query = None,
) -> None:
    """3. Take the old root away, of those alone that came under the new chain since."""
    body = {
        "name": f"delete {old.name}",
        "old_root": read(old),
        "new_root": read(new),
        "switched_at": since,
        **_who(charger, query),
    }
    show_renewal(session, session.api.post("/roots/deletions", body))


def _who(charger: list[str] | None, query: str | None) -> dict[str, Any]:
    if bool(charger) == (query is not None):
        raise WrongUse("Say whose roots are meant: --charger, or --query.")
    return {"charger_ids": charger} if charger else {"query": query}


def read(path: Path) -> str:
    """A PEM file. Raises WrongUse."""
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path} cannot be read as PEM.") from error
