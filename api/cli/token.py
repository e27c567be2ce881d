"""``ampwave token``: who may use the api."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from api.cli.errors import Record, WrongUse
from api.cli.output import Column, Screen, ago, moment
from api.cli.references import segment
from api.cli.session import Session, command, group
from storage.access import Role

app = group("Who may use the api.")
ROLES = tuple(role.value for role in Role)


@command(app, "create", posts=True)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is; one name is one person.")],
    role: Annotated[str, typer.Option(metavar="ROLE", help=f"One of {', '.join(ROLES)}.")],
    days: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="It ends after this. [default: it is revoked]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there, readable by you alone.")
    ] = None,
) -> None:
    """Make a token. Its text is shown this once."""
    if role not in ROLES:
        raise WrongUse(f"{role!r} is not a role.", hint=f"Use {', '.join(ROLES)}.")
    if out is not None and out.exists():
        raise WrongUse(f"{out} is there already.", hint="Name a new file.")
    expires = (session.clock() + timedelta(days=days)).isoformat() if days else None
    token = session.api.post("/tokens", {"name": name, "role": role, "expires_at": expires})
    if out is not None:
        _write(out, token.pop("token"))
        token["file"] = str(out)
    session.show(token, lambda screen: _draw(screen, token, session))


@command(app, "list")
def list_(session: Session) -> None:
    """List tokens, without their text."""
    tokens = list(session.api.pages("/tokens", 10_000))
    now = session.clock()
    columns = (
        Column("NAME"),
        Column("ROLE"),
        Column("STATE"),
        Column("CREATED", optional=True),
        Column("ENDS", optional=True),
        Column("ID"),
    )
    rows = [
        (
            str(one["name"]),
            str(one["role"]),
            _state(one, session),
            ago(one["created_at"], now),
            ago(one["expires_at"], now) if one["expires_at"] else "never",
            str(one["token_id"]),
        )
        for one in tokens
    ]
    session.show(
        tokens,
        lambda screen: screen.table(
            columns, rows, empty="No tokens yet. Make one: ampwave token create NAME --role viewer"
        ),
    )


@command(app, "revoke")
def revoke(
    session: Session,
    token: Annotated[str, typer.Argument(metavar="ID", help="As `ampwave token list` shows it.")],
) -> None:
    """End a token at once."""
    session.api.delete(f"/tokens/{segment(token)}")
    session.show(
        {"token_id": token, "revoked": True}, lambda screen: screen.line(f"Token {token} is revoked.")
    )


def _draw(screen: Screen, token: Record, session: Session) -> None:
    screen.fields(
        [
            ("Token", token.get("token")),
            ("In file", token.get("file")),
            ("Of", f"{token['name']}, {token['role']}"),
            ("Ends", moment(token["expires_at"], session.clock()) or "when it is revoked"),
            ("ID", str(token["token_id"])),
        ]
    )
    if "token" in token:
        screen.line("It is not shown again; keep it in a file and set AMPWAVE_API_TOKEN_FILE to it.")


def _state(token: Record, session: Session) -> str:
    from api.cli.output import parse_time

    if token["revoked_at"]:
        return "revoked"
    ends = parse_time(token["expires_at"])
    return "expired" if ends and ends <= session.clock() else "active"


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text + "\n")
