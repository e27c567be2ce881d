"""Every verdict of the demo, computed again by another process that has nothing but an export (X17)."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KEPT = ("PATH", "PYTHONPATH", "SYSTEMROOT")
"""Of the environment: what it takes to start Python. No setting, no address, no token."""
_AT_MOST_S = 120.0


@dataclass(frozen=True, slots=True)
class Recomputed:
    """How many verdicts were computed again, and how many came to other bytes."""

    verdicts: int = 0
    differing: int = 0


def recompute_elsewhere(campaigns: Sequence[Mapping[str, Any]], folder: Path) -> Recomputed:
    """Export each campaign with its decisions, and have ``verify-verdict --file`` judge in an empty room."""
    room = folder / "elsewhere"
    room.mkdir(exist_ok=True)
    results: list[dict[str, Any]] = []
    for number, campaign in enumerate(campaigns):
        export = room / f"campaign-{number + 1}.json"
        export.write_text(json.dumps(dict(campaign)))
        results += _verified(export, room)
    return Recomputed(len(results), sum(not one["holds"] for one in results))


def _verified(export: Path, room: Path) -> list[dict[str, Any]]:
    words = ("campaign", "verify-verdict", "--file", export.name, "--json")
    done = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-m", "api.cli.main", *words],
        cwd=room,
        env={name: os.environ[name] for name in _KEPT if name in os.environ},
        capture_output=True,
        timeout=_AT_MOST_S,
        check=False,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
