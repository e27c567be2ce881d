"""``ampwave charger hold``, ``unhold``, ``pin``, ``describe``, ``upkeep``: what people say of a charger."""

from datetime import timedelta
from typing import Annotated

import typer

from api.cli import documents
from api.cli.errors import Record, WrongUse
from api.cli.output import Screen, moment
from api.cli.references import segment
from api.cli.session import Session, command

Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]


def register(app: typer.Typer) -> None:
    """Put the commands beside the others of a charger."""

    @command(app, "hold")
    def hold(
        session: Session,
        charger: Identity,
        reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why nobody may update it.")],
        until: Annotated[
            str | None,
            typer.Option(metavar="TIME", help="With its zone, or from now on: 6h, 7d. [default: for good]"),
        ] = None,
    ) -> None:
        """Keep a charger from being updated, in every campaign, from now on."""
        _say(session, charger, {"hold": reason, "hold_until": _until(session, until)})

    @command(app, "unhold")
    def unhold(session: Session, charger: Identity) -> None:
        """Lift the hold of a charger."""
        _say(session, charger, {"hold": None})

    @command(app, "pin")
    def pin(
        session: Session,
        charger: Identity,
        version: Annotated[
            str | None, typer.Argument(metavar="[VERSION]", help="Leave it out to take the pin away.")
        ] = None,
    ) -> None:
        """Keep a charger on one version: campaigns to any other leave it out."""
        _say(session, charger, {"pin": version})

    @command(app, "describe")
    def describe(  # noqa: PLR0913 - typer's options are its signature
        session: Session,
        charger: Identity,
        link: Annotated[
            str | None, typer.Option(metavar="LINK", help="How it is connected: wired, cellular, wifi.")
        ] = None,
        power: Annotated[float | None, typer.Option(min=0, metavar="KW", help="What it can give.")] = None,
        connector: Annotated[
            list[str] | None,
            typer.Option("--connector", metavar="TYPE", help="As cCCS2; repeat for each type."),
        ] = None,
        pricing: Annotated[
            str | None, typer.Option(metavar="REF", help="Which prices hold, as your system names them.")
        ] = None,
        access: Annotated[
            str | None, typer.Option(metavar="REF", help="Who may charge, as in public or members/v12.")
        ] = None,
        charging: Annotated[
            str | None,
            typer.Option(metavar="REF", help="Its limits and schedules, as your system names them."),
        ] = None,
    ) -> None:
        """Say how a charger is connected, what it gives to its site, and on what terms.

        A REF is opaque: kept and found by queries, never read, never sent to a charger; - takes it away.
        """
        given: Record = {"link": link, "power_kw": power, "connector_types": connector or None}
        body = {name: value for name, value in given.items() if value is not None}
        terms = {"pricing_policy": pricing, "access_policy": access, "charging_policy": charging}
        patch = {name: value for name, value in terms.items() if value is not None}
        if not body and not patch:
            options = "--link, --power, --connector, --pricing, --access or --charging"
            raise WrongUse("Nothing to say.", hint=f"Give {options}.")
        kept = {"terms": _keep(session, charger, patch)} if patch else {}
        stored = session.api.post(f"/chargers/{segment(charger)}/upkeep", body) if body else {}

        def draw(screen: Screen) -> None:
            if stored:
                _draw(screen, stored, session)
            for terms in kept.values():
                told = [f"{name.replace('_', ' ')} {value}" for name, value in terms.items()]
                screen.line(f"{charger}: {', '.join(told) or 'no terms are kept'}.")

        session.show({**stored, **kept}, draw)

    @command(app, "upkeep")
    def upkeep(session: Session, charger: Identity) -> None:
        """Show what people say of a charger: hold, pin, link, power."""
        found = session.api.get(f"/chargers/{segment(charger)}/upkeep")
        session.show(found, lambda screen: _draw(screen, found, session))


def _say(session: Session, charger: str, body: Record) -> None:
    stored = session.api.post(f"/chargers/{segment(charger)}/upkeep", body)
    session.show(stored, lambda screen: _draw(screen, stored, session))


def _keep(session: Session, charger: str, terms: Record) -> Record:
    """The references to what other systems say of it, as they are now (F63)."""
    path = f"/chargers/{segment(charger)}/desired/terms"
    version = session.api.get(path)["version"]
    patch = {name: None if value == "-" else value for name, value in terms.items()}
    kept: Record = session.api.patch(path, patch, if_match=f'"{version}"')["desired"]
    return kept


def _until(session: Session, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return (session.clock() + timedelta(seconds=documents.seconds(text))).isoformat()
    except ValueError:
        pass
    try:
        return documents.instant(text)
    except ValueError:
        raise WrongUse(
            f"--until: {text!r} is neither a length of time nor a time with its zone.",
            hint="Write it as in 6h, 7d or 2026-12-01T06:00:00+01:00.",
        ) from None


def _draw(screen: Screen, said: Record, session: Session) -> None:
    now = session.clock()
    until = f", until {moment(said['hold_until'], now)}" if said["hold_until"] else ""
    over = "" if said["held"] or not said["hold"] else " (over)"
    screen.fields(
        [
            ("Charger", str(said["charger_id"])),
            ("On hold", f"{said['hold']}{until}{over}" if said["hold"] else "no"),
            ("Pinned to", said["pin"] or "nothing"),
            ("Link", said["link"] or "not told"),
            ("Power", "not told" if said["power_kw"] is None else f"{said['power_kw']:g} kW"),
            ("Connectors", ", ".join(said["connector_types"]) or "not told"),
            ("Said by", said["changed_by"] or None),
        ]
    )
