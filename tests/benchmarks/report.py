"""What a bench found: one line per row, a table for people, JSON for machines."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One published number beside what it is compared with."""

    name: str
    value: float
    unit: str
    comparator: str | None
    comparator_value: float | None
    ratio: float | None
    """Value to comparator."""
    target: str
    met: bool
    detail: tuple[str, ...] = ()
    """Lines of a table of its own, for the page that publishes it."""

    @classmethod
    def at_least(
        cls, name: str, value: float, unit: str, comparator: str, comparator_value: float, times: float
    ) -> Self:
        """Meets its target when it is at least so many times its comparator."""
        ratio = value / comparator_value if comparator_value else 0.0
        target = f">= {times:g} x comparator"
        return cls(name, value, unit, comparator, comparator_value, ratio, target, ratio >= times)


def say(text: str) -> None:
    """A line of progress, beside the table on standard output."""
    print(text, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """Where it ran: processors, memory, kernel, Python."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _read("/proc/cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processors": os.cpu_count(),
        "model": model,
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "nice": os.nice(0),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def show(rows: Sequence[Row]) -> None:
    """The table."""
    table = Table()
    for heading in ("row", "value", "unit", "comparator", "its value", "ratio", "target", "met"):
        table.add_column(heading, justify="right" if heading in ("value", "its value", "ratio") else "left")
    for row in rows:
        table.add_row(
            row.name,
            _number(row.value),
            row.unit,
            row.comparator or "-",
            _number(row.comparator_value),
            _number(row.ratio),
            row.target,
            "yes" if row.met else "NO",
        )
    Console(width=150).print(table)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def write(
    path: Path,
    rows: Sequence[Row],
    *,
    seed: int,
    command: str,
    started: datetime,
    where: dict[str, Any] | None = None,
) -> None:
    """``{row: {value, unit, comparator, comparator_value, ratio, target, met}}``, and where it comes from.

    Rows of earlier runs stay until they are measured again. ``where``: the machine as it was before.
    """
    try:
        known: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    about = {"machine": where or machine(), "seed": seed, "command": command, "date": started.isoformat()}
    for row in rows:
        entry = asdict(row)
        del entry["name"]
        known[row.name] = {**entry, "run": about}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n")


def now() -> datetime:
    """The time of day, UTC."""
    return datetime.now(UTC)
