"""``ampwave model``: what holds for every charger of one model."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from api.cli.errors import WrongUse
from api.cli.output import Column, Screen, duration
from api.cli.session import Session, command, group

app = group("What holds for every charger of one model.")


@command(app, "set")
def set_(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    model: Annotated[
        str, typer.Argument(metavar="VENDOR/MODEL", help="As the charger reports them at boot.")
    ],
    scheme: Annotated[
        str, typer.Option(metavar="SCHEME", help="How its vendor signs; proven, never guessed.")
    ] = "ecdsa-p256-sha256",
    needs_reset: Annotated[
        bool, typer.Option("--needs-reset", help="It activates firmware only after a Reset.")
    ] = False,
    reboot: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="How long a reboot may take.")] = 600,
    transfers: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="How it fetches an image, if it tells wrongly: HTTPS,HTTP,FTP."),
    ] = None,
    signed: Annotated[
        bool | None,
        typer.Option("--signed/--no-signed", help="Whether it takes signed updates, if it tells wrongly."),
    ] = None,
    one_way: Annotated[
        bool, typer.Option("--one-way", help="It never takes an earlier version again: no rollback.")
    ] = False,
    holds_install: Annotated[
        bool | None,
        typer.Option(
            "--holds-install/--no-holds-install",
            help="Whether it fetches an image ahead and waits with its install, if that is known.",
        ),
    ] = None,
    unsafe_unsigned: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Allow updates without signature: who, and why. `ampwave tuf policy` has to, too.",
        ),
    ] = None,
    veto: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=VALUE", help="The variable by which its chargers say that they take no update now."
        ),
    ] = None,
) -> None:
    """Set what holds for a model. Options that are left out go back to their defaults."""
    from api.cli.manifest import signature_scheme
    from api.cli.planfile import parse_model

    vendor, name = parse_model(model)
    declared: dict[str, Any] = (
        {"transfers": [word.strip().upper() for word in transfers.split(",")]} if transfers else {}
    )
    declared |= {} if signed is None else {"signed_update": signed}
    declared |= {} if holds_install is None else {"holds_install": holds_install}
    body = {
        "declared": {**declared, **({"goes_back": False} if one_way else {})},
        "vendor": vendor,
        "model": name,
        "signature_scheme": signature_scheme(scheme).value,
        "needs_reset_after_install": needs_reset,
        "reboot_seconds": reboot,
        "unsafe_unsigned_waiver": unsafe_unsigned,
    }
    if veto is not None:
        variable, equals, value = veto.partition("=")
        if not (variable and equals and value):
            raise WrongUse(f"--veto: {veto!r} is not NAME=VALUE.", hint="Write it as in UpdateAllowed=false.")
        body |= {"veto_variable": variable, "veto_value": value}
    stored = session.api.put("/models", body)

    session.show(stored, lambda screen: screen.fields(_declared(stored)))


@command(app, "show")
def show(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="VENDOR/MODEL")],
    from_version: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Only updates from this version.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=730, help="How far back to learn from.")] = 180,
) -> None:
    """Show what is declared of a model beside what its past updates have taught."""
    from api.cli.planfile import parse_model

    vendor, name = parse_model(model)
    path = f"/models/{quote(vendor, safe='')}/{quote(name, safe='')}"
    found = session.api.get(path, from_version=from_version, days=days)

    def draw(screen: Screen) -> None:
        profile, learned = found["profile"], found["learned"]
        screen.fields(_declared(profile) if profile else [("Model", model), ("Declared", "nothing")])
        for quirk in found["quirks"]:
            screen.fields([(f"Quirk {quirk['name']}", str(quirk["evidence"]))])
        screen.line()
        _draw_learned(screen, learned)

    session.show(found, draw)


def _declared(stored: Mapping[str, Any]) -> list[tuple[str, str]]:
    waiver, declared = stored["unsafe_unsigned_waiver"], stored["declared"]
    said = [f"{name}: {value}" for name, value in declared.items() if value is not None]
    return [
        ("Model", f"{stored['vendor']}/{stored['model']}"),
        ("Vendor signature", str(stored["signature_scheme"])),
        ("Needs a reset", "yes" if stored["needs_reset_after_install"] else "no"),
        ("Reboot takes", f"up to {duration(float(stored['reboot_seconds']))}"),
        ("Unsigned updates", f"ALLOWED: {waiver}" if waiver else "never"),
        (
            "Says no by",
            f"{stored['veto_variable']} = {stored['veto_value']}" if stored.get("veto_variable") else "-",
        ),
        ("Capabilities", "; ".join(said) or "as the chargers tell"),
    ]


def _draw_learned(screen: Screen, learned: Mapping[str, Any]) -> None:
    if not learned["succeeded"]:
        screen.line(f"Nothing is learned yet: {learned['attempts']} updates, none of them went through.")
        return
    screen.line(f"Learned from {learned['succeeded']} of {learned['attempts']} updates:")
    screen.line(f"{' > '.join(learned['order'])} ({learned['order_share']:.0%} of them)")
    if learned["never"]:
        screen.line(f"Never seen: {', '.join(learned['never'])}")
    rows = [(f"{stage['begins']} to {stage['ends']}", stage["seconds"]) for stage in learned["stages"]]
    rows += [(name, learned[key]) for name, key in (("Reboot", "reboot"), ("All of it", "whole"))]
    columns = [Column("STAGE"), *(Column(name, right=True) for name in ("SAMPLES", "P50", "P95", "LONGEST"))]
    cells = [
        (name, str(took["samples"]), *(duration(took[key]) for key in ("p50", "p95", "longest")))
        for name, took in rows
        if took
    ]
    screen.line()
    screen.table(columns, cells, empty="")
