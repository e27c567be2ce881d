"""``ampwave charger reprovision``: through provisioning once more."""

from datetime import datetime
from typing import Annotated, Literal

import typer

from api.cli.errors import Record, WrongUse
from api.cli.output import Column, Screen, ago, words
from api.cli.references import segment
from api.cli.session import Session, command

Mode = Literal["keep", "reset", "quarantine"]
"""As in ``storage.reprovision``, which is too heavy for a help page."""
Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]


def attach(app: typer.Typer) -> None:
    """Put this command beside the other ones of chargers."""
    command(app, "reprovision", posts=True)(reprovision)


def reprovision(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    charger: Identity,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="keep what it has; reset: it is told to forget first; quarantine: set aside at once. "
            "Without it: how far it is."
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is on record.")] = "",
    template: Annotated[str | None, typer.Option(metavar="NAME", help="What it is set to.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Of the template; repeat it.")
    ] = None,
    profile: Annotated[
        int, typer.Option(min=1, max=3, help="Lowest security profile to be active with.")
    ] = 1,
    wait: Annotated[
        int, typer.Option(min=0, metavar="MINUTES", help="How long it may take to be free, and reached.")
    ] = 60,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take a charger out of service and through provisioning again: a new credential, its checklist anew.

    It waits until nobody charges there and nothing else has the charger; in time, or it stays as it is.
    """
    path = f"/chargers/{segment(charger)}/reprovisions"
    if mode is not None:
        if not reason:
            raise WrongUse("Say why.", hint="--reason TEXT; it is on record.")
        session.confirm(f"Take {charger} out of service until it passed its checklist again?", yes=yes)
        body: Record = {
            "mode": mode,
            "reason": reason,
            "template": template,
            "parameters": dict(map(_pair, parameter or [])),
            "profile": profile,
            "wait_minutes": wait,
        }
        session.api.post(path, body)
    found = session.api.get(path)["items"]
    session.show(found, lambda screen: _draw(screen, charger, found, session.clock()))


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise WrongUse(f"{text!r} is not NAME=VALUE.")
    return name, value


def _draw(screen: Screen, charger: str, found: list[Record], now: datetime) -> None:
    columns = (
        Column("WHEN"),
        Column("MODE"),
        Column("STATE"),
        Column("BY"),
        Column("REASON", fold=True),
        Column("WAITS FOR, OR WHY", fold=True),
    )
    rows = [
        (
            ago(one["requested_at"], now),
            str(one["mode"]),
            words(one["state"]),
            str(one["actor"]),
            str(one["reason"]),
            str(one["waits_for"] or "-"),
        )
        for one in found
    ]
    screen.table(columns, rows, empty=f"{charger} was never provisioned anew.")
    if not found:
        return
    for step in found[0]["steps"]:
        screen.line(f"{step['step']}: {step['state']}, {step['detail']}")
    if found[0]["state"] == "done":
        screen.line(f"See where it is: ampwave provisioning show {charger}")
