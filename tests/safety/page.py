"""The published page of ``make safety``: written from a run, never by hand."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.report import machine
from tests.safety.campaigns import Tally
from tests.safety.mutants import MUTANTS

PROMISES = {
    "No session is cut": (
        "sent while busy",
        "update under a session",
        "session cut",
        "reset under a session",
    ),
    "No site below its floor, no feeder above its budget, nothing in a closed site": (
        "site below its floor",
        "feeder above its budget",
        "sent while its site is closed",
        "sent without its lease",
        "a lease is left",
    ),
    "Nothing unproven is sent": (
        "sent without vendor signature",
        "sent what is not released",
        "sent what was withdrawn",
        "sent without a directive",
        "sent for nobody",
        "told to stop unasked",
        "sent to an address that nobody offered",
    ),
    "Fetched ahead is not installed": ("told to install too soon", "an image is left behind"),
    "Success is attested": (
        "success without a boot",
        "success without a command",
        "crashed after it had stayed up",
        "counted before it stayed up",
        "an outcome changed",
    ),
    "No data is never a pass": (
        "passed without data",
        "sent before its rehearsal",
        "sent before its predecessor",
    ),
    "Our own absence is charged to nobody": ("charged for our own absence",),
    "Every verdict is recomputable": ("verdict not recomputable",),
    "A stop stops every sender within 5 s": (
        "sent after the stop was acknowledged",
        "sent under a halt",
        "sent after its end",
        "sent after it was called back",
    ),
    "One update at a time, under one number": (
        "one attempt under two numbers",
        "two attempts under one number",
    ),
    "Availability comes back as it was": (
        "availability not restored",
        "still on the books as out of service",
        "put back before it stayed up",
    ),
    "Every charger has one named state, every campaign an end": (
        "lost charger",
        "no such move",
        "campaign without an end",
        "an end without a reason",
        "rolled back, and it still runs",
        "everything stands still",
    ),
    "A crash loses and repeats nothing": ("replay differs", "workflow task failed", "unexpected error"),
}


def results(tally: Tally, command: str) -> dict[str, Any]:
    """A run as JSON."""
    broken = [each.rule for report in tally.broken for each in report.violations]
    return {
        "campaigns": tally.campaigns,
        "violations": tally.violations,
        "by_promise": {name: sum(rule in rules for rule in broken) for name, rules in PROMISES.items()},
        "seeds_broken": [report.seed for report in tally.broken],
        "first_seed": tally.first,
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(tally.seconds, 1),
        "campaigns_per_second": round(tally.campaigns / tally.seconds, 2) if tally.seconds else 0.0,
        "simulated_hours": round(tally.simulated_hours),
        "injected": dict(tally.injected.most_common()),
        "looked_at": dict(tally.seen.most_common()),
        "outcomes": dict(tally.outcomes.most_common()),
        "ends": dict(tally.phases.most_common()),
        "bugs_planted": len(MUTANTS),
        "machine": machine(),
    }


def write_json(path: Path, found: Mapping[str, Any]) -> None:
    """For machines."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


def summary(found: Mapping[str, Any]) -> str:
    """For people who wait at a terminal."""
    faults = sum(found["injected"].values())
    lines = [
        f"{found['campaigns']:,} campaigns from seed {found['first_seed']}, {faults:,} faults and acts,",
        f"{found['violations']} violations, {found['campaigns_per_second']} campaigns/s.",
    ]
    return " ".join(lines)


def page(found: Mapping[str, Any]) -> str:
    """``docs/SAFETY.md``."""
    return "\n".join(
        [
            "# Safety in numbers",
            "",
            "<!-- Written by the command below; not by hand. -->",
            "",
            _headline(found),
            "",
            "```",
            found["command"],
            "```",
            "",
            _about(found),
            "",
            *_table("Promises", "promise", "violations", found["by_promise"]),
            *_table("What was done to them", "fault or act", "times", found["injected"]),
            *_table("What was looked at", "thing", "times", found["looked_at"]),
            *_table("How campaigns ended", "phase", "campaigns", found["ends"]),
            *_table("How chargers ended", "outcome", "targets", found["outcomes"]),
        ]
    )


def _headline(found: Mapping[str, Any]) -> str:
    about = found["machine"]
    return (
        f"**{found['violations']} violations in {found['campaigns']:,} randomised, fault-injected "
        f"campaigns** on the real workflows and activities, in simulated time: "
        f"seeds from {found['first_seed']}, "
        f"{found['simulated_hours']:,} simulated hours in {found['seconds'] / 60:.0f} minutes "
        f"({found['campaigns_per_second']} campaigns/s), on {found['date']}, "
        f"{about['processors']} processors of {about['model']}, Python {about['python']}, "
        f"load {about['load_before']:.1f} at the end."
    )


def _about(found: Mapping[str, Any]) -> str:
    return (
        "`python -m tests.safety --replay SEED` shows any of them. The same referee is shown "
        f"{found['bugs_planted']} deliberate bugs in every test run and has to catch each "
        "(`tests/safety/mutants.py`). What is real and what is played: `tests/safety/README.md`."
    )


def _table(title: str, what: str, how_many: str, rows: Mapping[str, int]) -> list[str]:
    lines = [f"| {name} | {number:,} |" for name, number in rows.items()]
    return [f"## {title}", "", f"| {what} | {how_many} |", "|---|---|", *lines, ""]
