"""Forecasts of campaigns at the command line: what a plan would come to, and what became of it."""

from datetime import datetime, timedelta

from api.cli.errors import Record
from api.cli.output import Column, Screen, counted

_TITLES = {
    "minutes": "days to its end",
    "updated": "chargers updated",
    "failed": "chargers failed",
    "deferrals": "waited for a car",
    "blocked": "not reached by their wave",
    "lost_kwh": "kWh not delivered",
}
_MOST = 10
PATIENCE_S = 1800.0
"""A forecast of 100,000 chargers takes about ten minutes, and more where others are at work."""


def draw_forecast(screen: Screen, found: Record, waves: list[str]) -> None:
    """When it ends, whom it does not reach, what it costs."""
    chargers, replays = counted(found["cohort"], "charger"), counted(found["runs"], "replay")
    screen.line(f"{chargers}, {replays} of {counted(found['weeks'], 'recorded week')}.")
    _draw_end(screen, found)
    columns = (
        Column("FORECAST"),
        Column("LIKELY", right=True),
        Column("FROM", right=True),
        Column("TO", right=True),
    )
    gates = [
        (f"days to the gate of {name}", {key: each[key] / 1440 for key in each})
        for name, each in zip(waves, found["waves"], strict=True)
        if found["minutes"] is not None or each["high"]  # a gate to which no replay came has no days
    ]
    rows = [_row(title, band) for title, band in gates]
    if found["minutes"] is not None:
        rows += [_row(title, found[name]) for name, title in _TITLES.items() if name != "minutes"]
    screen.table(columns, rows, empty="")
    _draw_blocked(screen, found)
    screen.line()
    screen.line(_chance(found))
    if found["unrecorded"]:
        unknown = counted(found["unrecorded"], "charger")
        screen.line(f"Warning: nothing is recorded of {unknown}, taken for offline.")
    for sentence in found["assumed"]:
        screen.line(f"Assumed: {sentence}")


def _draw_end(screen: Screen, found: Record) -> None:
    band = found["minutes"]
    if band is None:
        screen.line("Every replay was stopped by a gate: it would not end.")
        return
    starts = datetime.fromisoformat(found["starts"])
    low, middle, high = (_day(starts + timedelta(minutes=band[each])) for each in ("low", "middle", "high"))
    when = "now" if starts <= datetime.fromisoformat(found["made_at"]) else _day(starts)
    screen.line(f"Started {when} it ends about {middle}, between {low} and {high} nine times of ten.")
    screen.line()


def _day(at: datetime) -> str:
    return f"{at:%a %Y-%m-%d %H:%M}Z"


def _row(title: str, band: Record) -> tuple[str, ...]:
    return title, *(_number(band[each]) for each in ("middle", "low", "high"))


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 100 and value != int(value) else f"{value:,.0f}"


def _draw_blocked(screen: Screen, found: Record) -> None:
    if not found["reasons"]:
        return
    screen.line()
    screen.line("Not reached before their wave closes, on average:")
    for each in found["reasons"][:_MOST]:
        screen.line(f"  {_number(each['chargers'])}: {each['why']}")
    names = [each["charger_id"] for each in found["most_blocked"][:_MOST]]
    if names:
        screen.line(f"  most often {', '.join(names)}")


def _chance(found: Record) -> str:
    share = found["false_stop"]
    if not share["of"]:
        return "No policy of health: only failed attempts, and who is faulted or offline then, may stop it."
    return (
        f"{round(share['share'] * share['of'])} of {share['of']} trials of its gates over the recorded weeks "
        f"stopped a release without harm (up to {share['high'] * 100:.0f} % is possible; the policy permits "
        f"{found['permitted'] * 100:g} %)."
    )


def draw_compared(screen: Screen, found: Record) -> None:
    """Forecast and fact, number by number."""
    rows = [_compared(line) for line in found["lines"]]
    columns = (
        Column(""),
        Column("FORECAST", right=True),
        Column("FROM", right=True),
        Column("TO", right=True),
        Column("FACT", right=True),
        Column("WITHIN"),
    )
    screen.table(columns, rows, empty="Nothing was forecast.")
    screen.line()
    screen.line(_state(found))


def _compared(line: Record) -> tuple[str, ...]:
    by = 1440 if line["what"] == "minutes" else 1
    numbers = [line[each] for each in ("middle", "low", "high", "fact")]
    cells = ["-" if number is None else _number(number / by) for number in numbers]
    within = {True: "yes", False: "NO", None: "-"}[line["within"]]
    return _TITLES.get(line["what"], str(line["what"])), *cells, within


def _state(found: Record) -> str:
    made = datetime.fromisoformat(found["forecast"]["made_at"])
    state = "It is still under way." if not found["ended"] else "It has ended."
    if found["ended"] and not found["completed"]:
        state = "It was stopped: when it would have ended is not known."
    return f"{state} Forecast {made:%Y-%m-%d %H:%M}Z, from {found['forecast']['runs']} replays."
