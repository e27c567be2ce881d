"""``ampwave cert``: chargers' certificates, from the authority's keys to their renewal."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli import cert_authority, cert_renewals, cert_requests, cert_roots
from api.cli.errors import Record, WrongUse
from api.cli.output import Column, Screen, ago, moment, words
from api.cli.session import Session, command, group

app = group("Issue, renew and revoke chargers' certificates.")
app.add_typer(cert_roots.app, name="root", help="Change the root that chargers know the server by.")
app.add_typer(
    cert_authority.app, name="ca", help="Make the authority: root offline, issuing key at the signer."
)
cert_renewals.register(app)
cert_requests.register(app)

Charger = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]


@command(app, "list")
def list_(
    session: Session,
    charger: Annotated[str | None, typer.Option(metavar="CHARGER", help="Of this charger only.")] = None,
    phase: Annotated[
        str | None, typer.Option(metavar="PHASE", help="issued, delivered, proven or revoked.")
    ] = None,
    within: Annotated[
        int | None, typer.Option(metavar="DAYS", min=1, help="Those that count and end within so many days.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 100,
) -> None:
    """List certificates that were issued, those that end first first."""
    wanted: dict[str, Any] = {"charger_id": charger, "phase": phase, "expires_within_days": within}
    found = list(session.api.pages("/certificates", limit, **wanted))
    now = session.clock()
    columns = (
        Column("CHARGER"),
        Column("SERIAL", fold=True),
        Column("STATE"),
        Column("ENDS"),
        Column("ISSUED", optional=True),
        Column("BY", optional=True),
    )
    rows = [
        (
            one["charger_id"],
            one["serial"],
            _state(one),
            ago(one["not_after"], now),
            ago(one["issued_at"], now),
            one["issued_by"],
        )
        for one in found
    ]
    session.show(found, lambda screen: screen.table(columns, rows, empty="No certificate was issued yet."))


def _state(one: Record) -> str:
    if one["phase"] == "revoked":
        return f"revoked ({one['reason'] or 'no reason given'})"
    return {
        "issued": "issued, not handed over",
        "delivered": "taken, not shown yet",
        "proven": "in use",
    }.get(one["phase"], words(one["phase"]))


@command(app, "expiries")
def expiries(
    session: Session,
    within: Annotated[int, typer.Option(metavar="DAYS", min=1, help="Within so many days.")] = 60,
    limit: Annotated[int, typer.Option(min=1, max=5000, metavar="N", help="At most so many.")] = 100,
) -> None:
    """List chargers by the end of the certificate that they last came with, whoever issued it."""
    found = session.api.get("/certificates/expiries", within_days=within, limit=limit)["items"]
    now = session.clock()
    columns = (
        Column("CHARGER"),
        Column("SITE"),
        Column("ENDS"),
        Column("AT", optional=True),
        Column("LINK", optional=True),
        Column("AUTHORITY", optional=True),
        Column("SERIAL", optional=True, fold=True),
    )
    rows = [
        (
            one["charger_id"],
            one["site_id"],
            ago(one["not_after"], now),
            moment(one["not_after"], now) or "",
            "online" if one["online"] else "offline",
            one["issuer"][:12] or "another",
            one["serial"],
        )
        for one in found
    ]
    late = sum(1 for one in found if datetime.fromisoformat(one["not_after"]) < now)

    def draw(screen: Screen) -> None:
        screen.table(
            columns, rows, empty=f"No charger came with a certificate that ends within {within} days."
        )
        if late:
            screen.line(f"{late} of them ended already.")
        if len(found) == limit:
            screen.line(f"Only the first {limit} are shown; --limit N shows more.")
        if found:
            screen.line(f"Renew them in waves: ampwave cert renew-fleet --name NAME --within {within}")

    session.show(found, draw)


@command(app, "issue", posts=True)
def issue(
    session: Session,
    charger: Charger,
    csr: Annotated[Path, typer.Option("--csr", metavar="FILE", help="Its signing request, PEM.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the chain goes. [default: shown]")
    ] = None,
) -> None:
    """Issue a certificate for a signing request that you have, as for a charger's first one.

    The request must name the charger's serial number or identity as its common name. The same request again
    brings the same certificate.
    """
    made = session.api.post("/certificates", {"charger_id": charger, "csr": read(csr)})
    if out is not None:
        out.write_text(made["chain"])

    def draw(screen: Screen) -> None:
        until = moment(made["not_after"], session.clock())
        screen.fields(
            [
                ("Charger", made["charger_id"]),
                ("Serial", made["serial"]),
                ("Holds until", until),
                ("Chain", str(out) if out else None),
            ]
        )
        if out is None:
            screen.line(made["chain"])

    session.show(made, draw)


@command(app, "renew", posts=True)
def renew(session: Session, charger: Charger) -> None:
    """Have one charger ask for a new certificate now; the old one counts until it came with the new one."""
    started = session.api.post("/certificates/renew", {"charger_id": charger})

    def draw(screen: Screen) -> None:
        screen.line(f"{charger} is told to ask for a new certificate.")
        screen.line(f"See how it ends: ampwave cert list --charger {charger}")

    session.show(started, draw)


@command(app, "revoke", posts=True)
def revoke(
    session: Session,
    charger: Charger,
    serial: Annotated[
        list[str] | None, typer.Option(metavar="SERIAL", help="Only this one; repeat. [default: all]")
    ] = None,
    reason: Annotated[
        str,
        typer.Option(
            metavar="WORD",
            help="unspecified, keyCompromise, affiliationChanged, superseded or cessationOfOperation.",
        ),
    ] = "unspecified",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take certificates of a charger away at once. It is cut off unless it has another way in."""
    what = f"{len(serial)} certificates" if serial else "every certificate"
    session.confirm(f"Revoke {what} of {charger}? It is cut off at once.", yes=yes)
    body = {"charger_id": charger, "serials": [each.upper() for each in serial or ()], "reason": reason}
    gone = session.api.post("/certificates/revocations", body)

    def draw(screen: Screen) -> None:
        for each in gone["serials"]:
            screen.line(f"Revoked {each}")
        if not gone["serials"]:
            screen.line("Nothing was left to revoke.")

    session.show(gone, draw)


def read(path: Path) -> str:
    """A PEM file. Raises WrongUse."""
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path} cannot be read as PEM.") from error
