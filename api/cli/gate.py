"""``ampwave gate``: a health policy on trial before it guards a fleet."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.errors import Record
from api.cli.output import Column, Screen
from api.cli.session import Session, command, group

if TYPE_CHECKING:
    from workflows.trial import Wilson
    from workflows.trial.many import PolicyScore, Trial

app = group("Try how a gate judges before it judges your fleet.")

_COLUMNS = (
    Column("POLICY"),
    Column("FALSE STOPS", right=True),
    Column("CAUGHT", right=True),
    Column("HARMED", right=True),
    Column("DAYS TO STOP", right=True),
    Column("DAYS IF GOOD", right=True),
    Column("ASKED", right=True, optional=True),
)


@command(app, "policies", online=False)
def policies(session: Session) -> None:
    """Show the shipped policies with what they did on simulated fleets."""
    from api.calibration import policies as known
    from api.cli.gate_policies import draw_policies

    found = known()
    session.show(found, lambda screen: draw_policies(screen, found))


@command(app, "simulate")
def simulate(  # noqa: PLR0913 - each is an option
    session: Session,
    plan: Annotated[
        Path | None, typer.Argument(metavar="[PLAN]", help="Its waves and its policy. [default: balanced]")
    ] = None,
    fleet: Annotated[
        str,
        typer.Option(
            metavar="SHAPE",
            help="chargers, sites, sessions a day, failures (share), alike (0 to 1), outages (days between).",
        ),
    ] = "chargers=600",
    models: Annotated[
        str | None, typer.Option(metavar="LIST", help='As in "Acme/AC22:70%,Acme/DC150:30%".')
    ] = None,
    harm: Annotated[
        str, typer.Option(metavar="KIND", help="What the bad release does; --harm list shows them.")
    ] = "sessions",
    campaigns: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Good ones, and as many bad ones.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed, the same fleets.")] = 7,
    from_fleet: Annotated[
        bool, typer.Option("--from-fleet", help="Your own fleet's recorded weeks, read from the api.")
    ] = False,
) -> None:
    """Run a policy on simulated fleets: false stops, what it catches, whom it harms, how long it takes."""
    from api.cli import gate_trial

    if harm == "list":
        kinds = gate_trial.kinds()
        rows = [(each["name"], each["does"]) for each in kinds]
        session.show(kinds, lambda screen: screen.table((Column("HARM"), Column("DOES")), rows, empty=""))
        return
    given = gate_trial.Given(plan, fleet, models, harm)
    trial = gate_trial.trial_of(given, campaigns, seed)
    if from_fleet:
        trial = gate_trial.with_fleet(trial, session.api, fleet, models)
    session.note(gate_trial.about(trial))
    found = gate_trial.carry_out(trial, lambda done, of: session.note(f"{done} of {of} campaigns"))

    def draw(screen: Screen) -> None:
        screen.table(_COLUMNS, [_row(name, each) for name, each in found.items()], empty="")
        screen.line()
        screen.line(_explained(trial))

    session.show(_document(trial, found), draw)


def _row(name: str, found: "PolicyScore") -> tuple[str, ...]:
    good, bad = found.good, found.bad
    return (
        name,
        _share(good.stopped),
        _share(bad.stopped),
        f"{bad.harmed:.0f}",
        "-" if bad.hours_to_stop is None else f"{bad.hours_to_stop / 24:.1f}",
        f"{good.hours / 24:.1f}",
        f"{good.asked.share * 100:.0f} %",
    )


def _share(share: "Wilson") -> str:
    return f"{share.share * 100:.0f} % ({share.low * 100:.0f} to {share.high * 100:.0f})"


def _explained(trial: "Trial") -> str:
    return (
        "FALSE STOPS: good campaigns that were stopped. CAUGHT: bad ones. In brackets what is known with\n"
        "95 % confidence; more --campaigns narrow it. HARMED: chargers that the bad release did something\n"
        "to before the stop, on average. ASKED: good campaigns in which a person is asked. The chargers are\n"
        "simulated: compare policies by these numbers, and do not take them for a promise."
        + (f"\nThe bad model is {trial.harm.model}." if trial.harm.model else "")
    )


def _document(trial: "Trial", found: "Mapping[str, PolicyScore]") -> Record:
    return {
        "harm": trial.harm.name,
        "chargers": trial.shape.chargers,
        "waves": list(trial.plan.shares),
        "campaigns": trial.campaigns,
        "seed": trial.seed,
        "policies": {
            name: {
                "false_stops": _interval(each.good.stopped),
                "caught": _interval(each.bad.stopped),
                "harmed": each.bad.harmed,
                "hours_to_stop": each.bad.hours_to_stop,
                "hours_if_good": each.good.hours,
                "asked_if_good": each.good.asked.share,
            }
            for name, each in found.items()
        },
    }


def _interval(share: "Wilson") -> Record:
    return {"share": share.share, "low": share.low, "high": share.high}
