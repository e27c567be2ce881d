"""``ampwave charger reidentify|accept|note|alias|find``: who a charger is, and what people know of it."""

from typing import Annotated, Any

import typer

from api.cli.errors import WrongUse
from api.cli.output import Column, Screen, ago
from api.cli.references import segment
from api.cli.session import Session, command

Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is on record.")]
_NOTHING = "-"


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of chargers."""
    command(app, "reidentify")(reidentify)
    command(app, "accept", posts=True)(accept)
    command(app, "note", posts=True)(note)
    command(app, "alias")(alias)
    command(app, "find")(find)


def reidentify(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    charger: Identity,
    reason: Reason,
    if_version: Annotated[
        int, typer.Option(min=1, metavar="N", help="Its identity version, as `charger show --json` has it.")
    ],
    serial: Annotated[str | None, typer.Option(metavar="TEXT", help="Serial number; - for none.")] = None,
    model: Annotated[str | None, typer.Option(metavar="VENDOR/MODEL", help="As it reports them.")] = None,
    hardware: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Hardware revision; - for none.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Register another serial number, model or hardware of a charger: an exception, always audited.

    What was registered is what certificates and firmware are judged by. The OCPP identity never changes.
    """
    from api.cli.planfile import parse_model

    body: dict[str, Any] = {}
    if model is not None:
        body["vendor"], body["model"] = parse_model(model)
    for name, given in (("serial_number", serial), ("hardware_revision", hardware)):
        if given is not None:
            body[name] = None if given == _NOTHING else given
    if not body:
        raise WrongUse("Nothing to change.", hint="Give --serial, --model or --hardware.")
    session.confirm(f"Register {charger} as something else?", yes=yes)
    path = f"/chargers/{segment(charger)}/identity"
    after = session.api.patch(path, {**body, "reason": reason}, if_match=f'"{if_version}"')

    def draw(screen: Screen) -> None:
        screen.line(f"{charger} is registered anew; its identity is at version {after['identity_version']}.")
        screen.fields(
            [
                ("Model", f"{after['vendor']}/{after['model']}"),
                ("Serial", after["serial_number"]),
                ("Hardware", after["hardware_revision"]),
            ]
        )

    session.show(after, draw)


def accept(
    session: Session,
    charger: Identity,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="As `charger drift` shows them: security.tampered, firmware.version, ..."
        ),
    ],
    reason: Reason,
) -> None:
    """Say that what a charger reports is right, after somebody looked, though our records say otherwise."""
    body = {"paths": paths, "reason": reason}
    found = session.api.post(f"/chargers/{segment(charger)}/accept", body)
    session.show(found, lambda screen: screen.line(f"Accepted of {charger}: {', '.join(found['accepted'])}."))


def note(
    session: Session,
    charger: Identity,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What was seen or done.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help="note, ticket, visit or rma.")] = "note",
    reference: Annotated[str, typer.Option(metavar="TEXT", help="Number of the ticket or RMA.")] = "",
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it happened: RFC 3339, or an age like 2h. [default: now]"),
    ] = None,
) -> None:
    """Put a technician's note or a ticket on a charger's timeline. It cannot be changed afterwards."""
    from api.cli.charger_acts import moment_of

    happened = moment_of(at, session.clock())
    body = {"text": text, "note": kind, "reference": reference, "happened_at": happened}
    found = session.api.post(f"/chargers/{segment(charger)}/notes", body)
    said = "is on the timeline of" if found["added"] else "was already on the timeline of"
    session.show(found, lambda screen: screen.line(f"The note {said} {charger}."))


def alias(
    session: Session,
    charger: Identity,
    add: Annotated[
        list[str] | None, typer.Option("--add", metavar="NAMESPACE=VALUE", help="For example erp=4711.")
    ] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="NAMESPACE=VALUE")] = None,
    connector: Annotated[
        str | None, typer.Option(metavar="EVSE[.CONNECTOR]", help="Name a part of it: 1 or 1.2.")
    ] = None,
) -> None:
    """Show what a charger is called elsewhere, or give it a name of a namespace."""
    subject = _subject(charger, connector)
    for each in add or []:
        namespace, value = _name(each)
        session.api.put("/identifiers", {"namespace": namespace, "value": value, "subject": subject})
    for each in remove or []:
        namespace, value = _name(each)
        session.api.delete("/identifiers", namespace=namespace, value=value)
    found = session.api.get(f"/chargers/{segment(charger)}/identifiers")["items"]
    columns = (Column("NAMESPACE"), Column("VALUE", fold=True), Column("OF"), Column("BY"), Column("SINCE"))
    rows = [
        (
            str(one["namespace"]),
            str(one["value"]),
            str(one["subject"]),
            str(one["actor"]),
            ago(one["since"], session.clock()),
        )
        for one in found
    ]
    session.show(found, lambda screen: screen.table(columns, rows, empty="It has no names."))


def find(
    session: Session,
    name: Annotated[
        str, typer.Argument(metavar="NAMESPACE=VALUE", help="For example erp=4711 or serial=VENDOR/SERIAL.")
    ],
) -> None:
    """Find what is called that elsewhere: a charger, a part of it, or a site."""
    namespace, value = _name(name)
    found = session.api.get("/identifiers", namespace=namespace, value=value)
    session.show(found, lambda screen: screen.line(str(found["subject"])))


def _subject(charger: str, connector: str | None) -> str:
    if connector is None:
        return f"charger/{charger}"
    evse, dot, number = connector.partition(".")
    return f"connector/{charger}/{evse}/{number}" if dot else f"evse/{charger}/{evse}"


def _name(text: str) -> tuple[str, str]:
    namespace, equals, value = text.partition("=")
    if not equals or not namespace or not value:
        raise WrongUse(f"{text!r} is no NAMESPACE=VALUE.", hint="Write for example erp=4711.")
    return namespace, value
