"""The evidence of a gate in the terminal: a sentence, the numbers, and a small plot per signal."""

from collections.abc import Sequence

from api.cli.errors import Record
from api.cli.output import Column, Screen, words
from api.gate_evidence import Look, Series, health_of, outlook, series_of

HEIGHT = 8
WIDTH = 56
UPDATED, OTHERS, BOUND = "●", "○", "─"
_KEY = f"{UPDATED} updated   {OTHERS} not updated yet   {BOUND} harm that matters"


def draw_evidence(screen: Screen, decisions: Sequence[Record], signal: str | None) -> None:
    """The latest judgement of health, and its signals over all looks."""
    judged = [one for one in decisions if health_of(one["result"])]
    if not judged:
        screen.line(
            "No gate of this campaign judged health: its plan names no policy (gate: health: balanced),"
        )
        screen.line("or no wave has come to its gate.")
        return
    latest = judged[-1]
    health = health_of(latest["result"]) or {}
    screen.line(f"{words(latest['verdict'])}: {latest['reason']}")
    if health["reason"] != latest["reason"]:
        screen.line(f"Health says {words(health['word'])}: {health['reason']}")
    screen.line(outlook(health))
    screen.line()
    _draw_comparisons(screen, health["comparisons"])
    found = series_of([one["result"] for one in judged])
    shown = [one for one in found if one.signal == signal or (signal is None and one.role == "primary")]
    for one in shown:
        screen.line()
        for line in plot(one):
            screen.line(line)


def _draw_comparisons(screen: Screen, comparisons: Sequence[Record]) -> None:
    columns = (
        Column("SIGNAL"),
        Column("MODEL", optional=True),
        Column("ROLE", optional=True),
        Column("SAYS"),
        Column("UPDATED", right=True),
        Column("OTHERS", right=True),
        Column("MORE", right=True),
        Column("AT MOST", right=True),
        Column("MATTERS", right=True),
        Column("CHANCE", right=True, optional=True),
    )
    rows = [
        (
            str(one["signal"]),
            str(one["segment"] or "all"),
            str(one["role"]),
            str(one["says"]),
            _rate(one["treated"]),
            _rate(one["control"]),
            f"{100 * one['estimate']:+.2g}",
            f"{100 * one['upper']:+.2g}",
            f"{100 * one['threshold']:g}",
            f"{one['chance']:.2g}",
        )
        for one in comparisons
    ]
    screen.table(columns, rows, empty="Nothing could be compared yet.")


def _rate(arm: Record) -> str:
    if not arm["exposure"]:
        return "-"
    return f"{100 * arm['hits'] / arm['exposure']:.3g} % of {arm['exposure']}"


def plot(series: Series) -> list[str]:
    """A signal over its looks, one column or more each."""
    looks = series.looks[-WIDTH:]
    top = max(max(look.treated, look.control, look.bound) for look in looks) or 1.0
    step = max(1, min(4, WIDTH // len(looks)))
    rows = [[" "] * (step * len(looks)) for _ in range(HEIGHT)]
    for place, look in enumerate(looks):
        _mark(rows, place * step, look, top)
    lines = [f"{series.title} ({series.role}, {series.says})"]
    for number, row in enumerate(rows):
        label = f"{100 * top:6.3g} %" if number == 0 else "     0 %" if number == HEIGHT - 1 else ""
        lines.append(f"{label:>8} |{''.join(row)}".rstrip())
    lines.append(
        f"{'':>8}  {len(looks)} looks, {looks[0].hours:.0f} to {looks[-1].hours:.0f} charger-hours   {_KEY}"
    )
    return lines


def _mark(rows: list[list[str]], column: int, look: Look, top: float) -> None:
    for value, mark in ((look.bound, BOUND), (look.control, OTHERS), (look.treated, UPDATED)):
        rows[HEIGHT - 1 - round(value / top * (HEIGHT - 1))][column] = mark
