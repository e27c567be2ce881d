"""``ampwave withdrawal``: what is not sent any more. One person takes away, two give back."""

import base64
from pathlib import Path
from typing import Annotated

import typer

from api.cli.errors import Record, WrongUse
from api.cli.output import Column, Screen, ago
from api.cli.references import ARTIFACT_HELP, artifact_id
from api.cli.session import Session, command, group

app = group("Take an image or a signing certificate away, and give it back.")

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for everybody who asks.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@command(app, "artifact", posts=True)
def artifact(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="ARTIFACT", help=ARTIFACT_HELP)],
    reason: Reason,
    yes: Yes = False,
) -> None:
    """Stop sending a released image, at once and everywhere. Campaigns with it halt."""
    withdraw_artifact(session, name, reason, yes=yes)


def withdraw_artifact(session: Session, name: str, reason: str, *, yes: bool) -> None:
    """Ask, and do it."""
    body = {"artifact_id": artifact_id(session.api, name), "reason": reason}
    session.confirm(f"Withdraw {name}? Every campaign with it halts; two people restore it.", yes=yes)
    _told(session, session.api.post("/withdrawals", body))


@command(app, "certificate", posts=True)
def certificate(
    session: Session,
    what: Annotated[
        str, typer.Argument(metavar="FILE|SHA256", help="The certificate (PEM), or its SHA-256.")
    ],
    reason: Reason,
    yes: Yes = False,
) -> None:
    """Stop sending whatever is signed under a firmware signing certificate."""
    body = {"reason": reason}
    if len(what) == 64 and all(letter in "0123456789abcdef" for letter in what):
        body["certificate_sha256"] = what
    else:
        body["certificate"] = _read(Path(what)).decode("ascii", "replace")
    session.confirm(f"Withdraw everything signed under {what}?", yes=yes)
    _told(session, session.api.post("/withdrawals", body))


@command(app, "crl", posts=True)
def crl(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The list, PEM or DER.")],
) -> None:
    """Withdraw every certificate on a manufacturer's revocation list. Nobody can overrule it."""
    data = _read(file)
    text = data.decode("ascii", "replace") if data.lstrip().startswith(b"-----BEGIN") else ""
    taken = session.api.post("/withdrawals/lists", {"crl": text or base64.b64encode(data).decode()})
    session.show(
        taken,
        lambda screen: screen.line(
            f"The list names {taken['listed']} certificates; {taken['withdrawn']} of them are withdrawn anew."
        ),
    )


@command(app, "restore", posts=True)
def restore(
    session: Session,
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="As `ampwave withdrawal list` names it, or an artifact.")
    ],
    yes: Yes = False,
) -> None:
    """Say yes to the return of something withdrawn. It is back when two people have."""
    known = subject.startswith(("artifact:", "certificate:", "serial:"))
    named = subject if known else f"artifact:{artifact_id(session.api, subject)}"
    session.confirm(f"May {subject} be sent again?", yes=yes)
    found = session.api.post("/withdrawals/restorations", {"subject": named})

    def draw(screen: Screen) -> None:
        people = ", ".join(found["restored_by"])
        if found["in_force"]:
            screen.line(
                f"{len(found['restored_by'])} of {found['votes_to_restore']} have said yes: {people}."
            )
        else:
            screen.line(f"It is back; {people} said yes.")

    session.show(found, draw)


@command(app, "list")
def list_(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 100,
) -> None:
    """List what was withdrawn, newest first, restored things too."""
    found = session.api.get("/withdrawals", limit=limit)["items"]
    columns = (
        Column("SUBJECT", fold=True),
        Column("STATE"),
        Column("BY"),
        Column("SINCE"),
        Column("WHY", fold=True),
    )
    now = session.clock()
    rows = [
        (one["subject"], _state(one), one["withdrawn_by"], ago(one["withdrawn_at"], now), one["reason"])
        for one in found
    ]
    session.show(found, lambda screen: screen.table(columns, rows, empty="Nothing was withdrawn."))


def _state(one: Record) -> str:
    votes = (
        f" ({len(one['restored_by'])} of {one['votes_to_restore']} want it back)"
        if one["restored_by"]
        else ""
    )
    return f"withdrawn{votes}" if one["in_force"] else f"restored by {', '.join(one['restored_by'])}"


def _told(session: Session, standing: Record) -> None:
    session.show(
        standing,
        lambda screen: screen.line(
            f"Withdrawn by {standing['withdrawn_by']}: {standing['reason']}\n"
            f"Two people give it back: ampwave withdrawal restore {standing['subject']}"
        ),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}.") from error
