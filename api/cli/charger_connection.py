"""``ampwave charger upgrade-profile|change-network|rotate-passwords|endpoints``: how chargers connect."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.errors import Record, WrongUse
from api.cli.output import Column
from api.cli.session import Session, command

Chargers = Annotated[list[str] | None, typer.Argument(metavar="[CHARGER]...", help="Or --query.")]
Query = Annotated[
    str | None, typer.Option("--query", "-q", metavar="QUERY", help="In the query language (docs/QUERY.md).")
]
Root = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="PEM root of the server's chain at that door; needed for TLS."),
]
Endpoint = Annotated[str, typer.Option(metavar="NAME", help="As `ampwave charger endpoints` lists them.")]
Slot = Annotated[int, typer.Option(min=0, metavar="N", help="2.x. [default: one that is free]")]
Canary = Annotated[int, typer.Option(min=1, metavar="N", help="Chargers of the first wave.")]
Growth = Annotated[int, typer.Option(min=2, metavar="N", help="Each wave is so many times larger.")]
Parallel = Annotated[int, typer.Option(min=1, max=200, metavar="N", help="Chargers at once.")]
Back = Annotated[
    int, typer.Option(min=10, metavar="SECONDS", help="How long one may take to come back the new way.")
]


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of chargers."""
    command(app, "upgrade-profile", posts=True)(upgrade_profile)
    command(app, "change-network", posts=True)(change_network)
    command(app, "rotate-passwords", posts=True)(rotate_passwords)
    command(app, "endpoints")(endpoints)


def upgrade_profile(  # noqa: PLR0913 - the options of a command
    session: Session,
    profile: Annotated[int, typer.Option(min=2, max=3, help="The security profile that they are to have.")],
    charger: Chargers = None,
    query: Query = None,
    root: Root = None,
    endpoint: Endpoint = "main",
    slot: Slot = 0,
    canary: Canary = 1,
    growth: Growth = 10,
    parallel: Parallel = 20,
    back: Back = 900,
) -> None:
    """Raise chargers to a higher security profile, for good: a canary first, then growing waves.

    Each needs the root of its new door (`ampwave cert root install`), and for profile 3 a certificate
    (`ampwave cert renew`). It is let in the old way until it came the new way; then never again.
    """
    body = {**_who(charger, query), "name": f"security profile {profile}", "profile": profile}
    way = {"endpoint": endpoint, "slot": slot, **_root(root)}
    pace = {"canary": canary, "growth": growth, "parallel": parallel, "proof_seconds": back}
    _open(session, "/connections/profiles", {**body, **way, **pace})


def change_network(  # noqa: PLR0913 - the options of a command
    session: Session,
    endpoint: Endpoint,
    charger: Chargers = None,
    query: Query = None,
    root: Root = None,
    interface: Annotated[
        str, typer.Option(metavar="NAME", help="Wired0 to Wired3, Wireless0 to Wireless3.")
    ] = "Wired0",
    profile: Annotated[
        int | None, typer.Option(min=1, max=3, help="Which of its doors. [default: the one with TLS]")
    ] = None,
    slot: Slot = 0,
    canary: Canary = 1,
    growth: Growth = 10,
    parallel: Parallel = 20,
    back: Back = 900,
) -> None:
    """Have 2.x chargers connect another way: another address of ours, interface or private APN.

    The new way goes into a slot that a charger does not use; one that does not come by it in time goes
    back to the old one.
    """
    body = {**_who(charger, query), "name": f"network {endpoint}", "endpoint": endpoint, **_root(root)}
    way: dict[str, Any] = {"interface": interface, "slot": slot}
    pace = {"canary": canary, "growth": growth, "parallel": parallel, "proof_seconds": back}
    _open(
        session, "/connections/networks", {**body, **way, **({"profile": profile} if profile else {}), **pace}
    )


def rotate_passwords(
    session: Session,
    charger: Chargers = None,
    query: Query = None,
    canary: Canary = 1,
    growth: Growth = 10,
    parallel: Parallel = 20,
) -> None:
    """Give many chargers new passwords that nobody sees: a canary first, then growing waves."""
    body = {**_who(charger, query), "name": "new passwords"}
    _open(
        session, "/connections/passwords", {**body, "canary": canary, "growth": growth, "parallel": parallel}
    )


def endpoints(session: Session) -> None:
    """List where chargers connect, and may be moved to."""
    found = list(session.api.get("/connections/endpoints")["items"])
    columns = (
        Column("ENDPOINT"),
        Column("PROFILE 1", fold=True),
        Column("PROFILES 2, 3", fold=True),
        Column("APN"),
        Column("TUNNEL"),
    )
    rows = [
        (one["name"], one["ws"] or "-", one["wss"] or "-", one["apn"] or "-", one["vpn"] or "-")
        for one in found
    ]
    empty = "None. AMPWAVE_CSMS_ENDPOINTS_FILE names where chargers connect."
    session.show(found, lambda screen: screen.table(columns, rows, empty=empty))


def _open(session: Session, path: str, body: Record) -> None:
    from api.cli.cert_renewals import show_renewal

    found = session.api.post(path, body)
    show_renewal(session, found)
    if not session.json:
        session.note(
            f"Follow it: ampwave cert renewal {found['renewal_id']}; steer it: cert pause, resume or abort."
        )


def _who(charger: list[str] | None, query: str | None) -> Record:
    if bool(charger) == (query is not None):
        raise WrongUse("Say which chargers are meant: name them, or --query.")
    return {"charger_ids": charger} if charger else {"query": query}


def _root(path: Path | None) -> Record:
    if path is None:
        return {}
    from api.cli.cert_roots import read

    return {"root": read(path)}
