"""The published page of the row ``gates``: tables, a plot, and where others win."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.calibration import CALIBRATION
from tests.benchmarks.plot import Bars, bars
from workflows.gate import POLICIES
from workflows.trial import HARMS, NO_HARM, FleetShape, Score, Wilson

if TYPE_CHECKING:
    from tests.benchmarks.gates import Results

WHAT = {
    "sessions": "+5 points of sessions fail",
    "sessions-10": "+10 points",
    "one-model": "+15 points on one model of three",
    "after-hours": "+20 points from 20:00 to 6:00",
    "offline": "+5 points of hours offline",
    "faults": "a fault each 10 days more",
    "boot-loops": "a boot loop each 33 days",
    "installs": "+20 points of installs fail",
}

BEGIN, END = "<!-- calibration: written by tests.benchmarks.gates -->", "<!-- calibration ends -->"


def write(folder: Path, results: "Results", command: str) -> None:
    """``GATE-NUMBERS.md`` and ``gate-numbers.svg``."""
    (folder / "GATE-NUMBERS.md").write_text(page(results, command))
    (folder / "gate-numbers.svg").write_text(plot(results, command))
    if _shipped(results):
        CALIBRATION.write_text(json.dumps(calibration(results, command), indent=2) + "\n")
        gates = folder / "GATES.md"
        if not gates.exists():  # another folder than that of the published pages
            return
        gates.write_text(_between_marks(gates.read_text(), shipped_table(calibration(results, command))))


def calibration(results: "Results", command: str) -> dict[str, Any]:
    """What the command line shows of a shipped policy."""
    return {
        "command": command,
        "chargers": FleetShape().chargers,
        "harms": WHAT,
        "policies": {
            name.removeprefix("Ampwave "): _calibrated(results.scores[name]) for name in _shipped(results)
        },
    }


def _calibrated(scores: dict[str, Score]) -> dict[str, Any]:
    good = scores[NO_HARM.name]
    return {
        "false_stops": _interval(good.stopped),
        "asked": round(good.asked.share, 3),
        "days": round(good.hours / 24, 1),
        "harms": {
            harm: {
                "caught": _interval(scores[harm].stopped),
                "harmed": round(scores[harm].harmed),
                "days": _days(scores[harm].hours_to_stop),
            }
            for harm in HARMS
        },
    }


def _interval(share: Wilson) -> dict[str, Any]:
    return {
        "share": round(share.share, 3),
        "low": round(share.low, 3),
        "high": round(share.high, 3),
        "of": share.of,
    }


def _days(hours: float | None) -> float | None:
    return None if hours is None else round(hours / 24, 1)


def _shipped(results: "Results") -> list[str]:
    """All of ours, or nothing is written of them."""
    names = [f"Ampwave {name}" for name in POLICIES]
    return names if all(name in results.scores for name in names) else []


def shipped_table(found: dict[str, Any]) -> str:
    """The shipped policies side by side."""
    policies = found["policies"]
    rows = [
        ("good campaigns stopped", [_percents(one["false_stops"]) for one in policies.values()]),
        (
            "... in which a person is asked",
            [f"{one['asked'] * 100:.0f} %" for one in policies.values()],
        ),
        ("days until a good campaign is through", [f"{one['days']:g}" for one in policies.values()]),
        *(
            (
                f"{what}: caught, harmed, days to it",
                [_caught(one["harms"][harm]) for one in policies.values()],
            )
            for harm, what in found["harms"].items()
        ),
    ]
    return "\n".join(
        [
            f"| | {' | '.join(policies)} |",
            f"|---|{'---|' * len(policies)}",
            *(f"| {title} | {' | '.join(cells)} |" for title, cells in rows),
            "",
            f"Of {found['chargers']} chargers, on average; in brackets what is known with 95 % confidence.",
            f"Made by `{found['command']}`.",
        ]
    )


def _percents(one: dict[str, Any]) -> str:
    return f"{one['share'] * 100:.1f} % ({one['low'] * 100:.1f} to {one['high'] * 100:.1f})"


def _caught(one: dict[str, Any]) -> str:
    days = "-" if one["days"] is None else f"{one['days']:g}"
    return f"{one['caught']['share'] * 100:.0f} %, {one['harmed']}, {days}"


def _between_marks(text: str, table: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def plot(results: "Results", command: str) -> str:
    """Chargers harmed by each kind of release, for every rule that keeps the permitted false stops."""
    names = [*(name for name in results.scores if name.startswith("Ampwave")), *results.tuned()]
    most = max(results.scores[name][harm].harmed for name in names for harm in HARMS)
    panels = [
        Bars(f"{harm}: {WHAT[harm]}", [(n, results.scores[n][harm].harmed) for n in names], most)
        for harm in HARMS
    ]
    title = f"Chargers harmed before the stop, of {FleetShape().chargers}; fewer is better"
    return bars(title, f"Rules that stop at most 5 % of good campaigns. {command}", panels, "Ampwave")


def page(results: "Results", command: str) -> str:
    """The page."""
    return "\n".join(
        [
            "# Gates in numbers",
            "",
            *_made(results, command),
            "",
            "## Good releases",
            "",
            "| rule | stopped (95 % interval) | asked a person | days to complete |",
            "|---|---|---|---|",
            *(_good(name, scores[NO_HARM.name]) for name, scores in results.scores.items()),
            "",
            _tuned(results),
            "",
            "## Bad releases: chargers harmed before the stop, on average (share of campaigns stopped)",
            "",
            f"| rule | {' | '.join(HARMS)} | mean |",
            f"|---|{'---|' * (len(HARMS) + 1)}",
            *(_bad(name, scores, results.harmed(name)) for name, scores in results.scores.items()),
            "",
            *(f"- `{harm}`: {what}" for harm, what in WHAT.items()),
            "",
            "![Chargers harmed by rule](gate-numbers.svg)",
            "",
            "## Where others win",
            "",
            *_losses(results),
            "",
        ]
    )


def _made(results: "Results", command: str) -> Sequence[str]:
    size = FleetShape().chargers
    return [
        f"Made by `{command}`; `make bench ONLY=gates` runs another. {results.good} good campaigns and",
        f"{results.bad} with each harm, each on a fleet of its own of {size} chargers: chargers, sites and",
        "days differ, sites lose power, the back end goes away about every 20 days. Waves of 5, 15, 30",
        "and 50 %; every rule sees the same campaigns. Rules of others (`tests/benchmarks/rivals.py`) soak",
        "24 hours after each wave. Where our gate asks a person, the person lets it go on, as if nobody",
        "knew better.",
    ]


def _tuned(results: "Results") -> str:
    return (
        "*Tuned* has the threshold that stops 5 % of exactly these good campaigns, which no user can know "
        f"beforehand: {_limits(results)}."
    )


def _good(name: str, found: Score) -> str:
    stopped = found.stopped
    interval = f"{stopped.share * 100:.1f} % ({stopped.low * 100:.1f} to {stopped.high * 100:.1f})"
    return f"| {name} | {interval} | {found.asked.share * 100:.0f} % | {found.hours / 24:.1f} |"


def _bad(name: str, scores: dict[str, Score], mean: float) -> str:
    cells = [f"{scores[harm].harmed:.0f} ({scores[harm].stopped.share * 100:.0f} %)" for harm in HARMS]
    return f"| {name} | {' | '.join(cells)} | {mean:.0f} |"


def _limits(results: "Results") -> str:
    return ", ".join(f"{name} {limit:.3g}" for name, limit in results.limits.items())


def _losses(results: "Results") -> Sequence[str]:
    """Each harm where a rule with no more false stops than permitted harms fewer than ours."""
    found = []
    for policy in (name for name in results.scores if name.startswith("Ampwave")):
        for harm in HARMS:
            ours = results.scores[policy][harm].harmed
            better = [name for name in results.tuned() if results.scores[name][harm].harmed < ours]
            if better:
                shown = ", ".join(f"{name} {results.scores[name][harm].harmed:.0f}" for name in better)
                found.append(f"- {policy}, `{harm}`: {ours:.0f} harmed; fewer by {shown}.")
    return found or ["- Nowhere among the rules that stop at most 5 % of good campaigns."]
