"""``ampwave campaign chargers`` and ``outcomes``: where each charger stands, and each kind of them."""

from typing import Annotated

import typer

from api.cli import campaign_views as views
from api.cli.references import CAMPAIGN_HELP, campaign_id, segment
from api.cli.session import Session, command

Reference = Annotated[str, typer.Argument(metavar="CAMPAIGN", help=CAMPAIGN_HELP)]


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of campaigns."""
    command(app, "chargers")(chargers)
    command(app, "outcomes")(outcomes)


def chargers(
    session: Session,
    campaign: Reference,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="Only these, as in waiting or left_behind.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 1000,
) -> None:
    """Show each charger of a campaign once: its state, why, until when, and what to do."""
    pages = session.api.pages(f"{_path(session, campaign)}/chargers", 1_000_000 if state else limit)
    wanted = state.strip().lower().replace("-", "_").replace(" ", "_") if state else None
    rows = [row for row in pages if wanted in (None, row["state"])][:limit]
    session.show(rows, lambda screen: views.draw_standings(screen, rows, session.clock()))


def outcomes(session: Session, campaign: Reference) -> None:
    """Show where a campaign's chargers stand by OCPP version, vendor and model."""
    rows = list(session.api.pages(f"{_path(session, campaign)}/outcomes", 10_000))
    session.show(rows, lambda screen: views.draw_outcomes(screen, rows))


def _path(session: Session, campaign: str) -> str:
    return f"/campaigns/{segment(campaign_id(session.api, campaign))}"
