"""``ampwave privacy``: taking a person out of what is kept."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from api.cli.errors import WrongUse
from api.cli.session import Session, command, group

app = group("Take a person out of what is kept.")


@command(app, "erase", posts=True)
def erase(
    session: Session,
    token_file: Annotated[
        Path,
        typer.Option(
            "--token-file", metavar="FILE", help="The id token (card), on one line; - for standard input."
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is on record.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase an id token's hash from all sessions and events. What happened stays, and the audit chain too."""
    token = _token(token_file)
    session.confirm("Erase this person's token everywhere? It cannot be taken back.", yes=yes)
    found = session.api.post("/erasures", {"id_token": token, "reason": reason})
    said = f"Erased from {found['sessions']} sessions and {found['events']} events."
    session.show(found, lambda screen: screen.line(said))


def _token(file: Path) -> str:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{file} cannot be read.") from error
    if not text.strip():
        raise WrongUse(f"{file} is empty.")
    return text.strip()
