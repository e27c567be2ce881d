"""``ampwave model``: what holds for every charger of one model."""

from typing import Annotated

import typer

from api.cli.output import Screen, duration
from api.cli.session import Session, command, group

app = group("What holds for every charger of one model.")


@command(app, "set")
def set_(
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
    unsafe_unsigned: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Allow updates without signature: who says so, and why."),
    ] = None,
) -> None:
    """Set what holds for a model. Options that are left out go back to their defaults."""
    from api.cli.manifest import signature_scheme
    from api.cli.planfile import parse_model

    vendor, name = parse_model(model)
    body = {
        "vendor": vendor,
        "model": name,
        "signature_scheme": signature_scheme(scheme).value,
        "needs_reset_after_install": needs_reset,
        "reboot_seconds": reboot,
        "unsafe_unsigned_waiver": unsafe_unsigned,
    }
    stored = session.api.put("/models", body)

    def draw(screen: Screen) -> None:
        waiver = stored["unsafe_unsigned_waiver"]
        screen.fields(
            [
                ("Model", f"{stored['vendor']}/{stored['model']}"),
                ("Vendor signature", str(stored["signature_scheme"])),
                ("Needs a reset", "yes" if stored["needs_reset_after_install"] else "no"),
                ("Reboot takes", f"up to {duration(float(stored['reboot_seconds']))}"),
                ("Unsigned updates", f"ALLOWED: {waiver}" if waiver else "never"),
            ]
        )

    session.show(stored, draw)
