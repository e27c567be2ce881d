"""The shipped policies side by side, with what they did on simulated fleets."""

from typing import Any

from api.cli.output import Column, Screen


def draw_policies(screen: Screen, found: dict[str, Any]) -> None:
    """A column for each policy."""
    named = found["policies"]
    columns = (Column("", fold=True), *(Column(name.upper(), right=True) for name in named))
    rows = [
        ("good campaigns stopped", *(_interval(one["false_stops"]) for one in named.values())),
        ("a person was asked", *(f"{one['asked'] * 100:.0f} %" for one in named.values())),
        ("days of a good campaign", *(f"{one['days']:g}" for one in named.values())),
    ]
    rows += [
        (what, *(_caught(one["harms"][harm]) for one in named.values()))
        for harm, what in found["harms"].items()
    ]
    screen.table(columns, rows, empty="")
    screen.line()
    screen.line(
        f"Of harms: share that was stopped, chargers harmed of {found['chargers']}, days to the stop.\n"
        f"Made by {found['command']}; your own fleet: ampwave gate simulate --from-fleet."
    )


def _interval(one: dict[str, Any]) -> str:
    return f"{one['share'] * 100:.1f} % ({one['low'] * 100:.1f} to {one['high'] * 100:.1f})"


def _caught(one: dict[str, Any]) -> str:
    days = "-" if one["days"] is None else f"{one['days']:g} d"
    return f"{one['caught']['share'] * 100:.0f} %, {one['harmed']}, {days}"
