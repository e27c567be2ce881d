"""The evidence of a gate in the terminal: a sentence, the numbers, and a small plot per signal."""

from collections.abc import Sequence

from api.cli.errors import Record
from api.cli.output import Column, Screen, words
from api.gate_evidence import MEANINGS, Look, Series, health_of, left_out, outlook, series_of, telling

HEIGHT = 8
WIDTH = 56
UPDATED, OTHERS, BOUND = "●", "○", "─"
_KEY = f"{UPDATED} updated   {OTHERS} not updated yet   {BOUND} harm that matters"


def draw_evidence(
    screen: Screen, decisions: Sequence[Record], signal: str | None, *, models: bool = False
) -> None:
    """The latest judgement of health, and its signals over all looks; ``models``: numbers of each, too."""
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
    if excluded := left_out(latest["inputs"]):
        screen.line(excluded)
    screen.line()
    _draw_comparisons(screen, health["comparisons"], models=models)
    found = series_of([one["result"] for one in judged])
    shown = [
        one
        for one in found
        if one.signal == signal or (signal is None and (one.decided or one.role == "primary"))
    ]
    for one in shown:
        screen.line()
        for line in plot(one):
            screen.line(line)


def _draw_comparisons(screen: Screen, comparisons: Sequence[Record], *, models: bool) -> None:
    if not comparisons:
        screen.line("There was nothing to compare at this look.")
        return
    shown = [one for one in comparisons if models or telling(one)]
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
            MEANINGS.get(one["says"], (str(one["says"]), ""))[0],
            _rate(one["treated"]),
            _rate(one["control"]),
            *_difference(one),
        )
        for one in shown
    ]
    screen.table(columns, rows, empty="")
    said = {one["says"] for one in shown}
    told = (f"{short}: {long}" for word, (short, long) in MEANINGS.items() if word in said)
    screen.line(f"Percent; MORE, AT MOST and MATTERS in points. {'. '.join(told)}.")
    if hidden := len({one["segment"] for one in comparisons if one not in shown}):
        which = "Single models say" if hidden > 1 else "The one model says"
        screen.line(f"{which} nothing else by themselves; --models shows their numbers.")


def _difference(one: Record) -> tuple[str, str, str, str]:
    """How much more the updated have, at most, what matters, and how often chance does it."""
    matters = f"{100 * one['threshold']:g}"
    if not one["treated"]["exposure"] or not one["control"]["exposure"]:
        return "-", "-", matters, "-"
    upper = f"{100 * one['upper']:+.2g}" if one["upper"] < 1 else "any"
    chance = "< 0.001" if one["chance"] < 0.001 else f"{one['chance']:.2g}"
    return f"{100 * one['estimate']:+.3g}", upper, matters, chance


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
    short, long = MEANINGS.get(series.says, (series.says, ""))
    decided = ", decided" if series.decided else ""
    lines = [f"{series.title} ({series.role}{decided}): {short}, {long}"]
    for number, row in enumerate(rows):
        label = f"{100 * top:6.3g} %" if number == 0 else "     0 %" if number == HEIGHT - 1 else ""
        lines.append(f"{label:>8} |{''.join(row)}".rstrip())
    lines.append(f"{'':>8}  {_span(looks)}   {_KEY}")
    return lines


def _span(looks: Sequence[Look]) -> str:
    if len(looks) == 1:
        return f"one look, {looks[0].hours:.0f} charger-hours"
    return f"{len(looks)} looks, {looks[0].hours:.0f} to {looks[-1].hours:.0f} charger-hours"


def _mark(rows: list[list[str]], column: int, look: Look, top: float) -> None:
    for value, mark in ((look.bound, BOUND), (look.control, OTHERS), (look.treated, UPDATED)):
        rows[HEIGHT - 1 - round(value / top * (HEIGHT - 1))][column] = mark
