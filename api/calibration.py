"""What the shipped policies did on simulated fleets: measured by ``tests.benchmarks.gates``."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

CALIBRATION = Path(__file__).with_name("calibration.json")
_MAIN = "sessions"
"""What the policies are dimensioned for."""


@lru_cache(maxsize=1)
def _known() -> dict[str, Any]:
    if not CALIBRATION.exists():  # nothing was measured for these rules
        return {"command": "", "chargers": 0, "harms": {}, "policies": {}}
    document: dict[str, Any] = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    return document


def calibrated(policy: str) -> str:
    """A shipped policy's numbers in a sentence or two; "": it is not one of those."""
    found = _known()["policies"].get(policy)
    if found is None:
        return ""
    good, main = found["false_stops"], found["harms"][_MAIN]
    harms = [one["harmed"] for one in found["harms"].values()]
    return (
        f"On simulated fleets {policy} stopped {_percent(good['share'])} of good campaigns and "
        f"{_percent(main['caught']['share'])} of those with {_known()['harms'][_MAIN]}, after "
        f"{_days(main['days'])} and {main['harmed']} of {_known()['chargers']} chargers "
        f"({min(harms)} to {max(harms)} over {len(harms)} harms); a good campaign took "
        f"{found['days']:g} days, and in {_percent(found['asked'])} a person was asked."
    )


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _days(days: float | None) -> str:
    return "no stop" if days is None else f"{days:g} days"


def policies() -> dict[str, Any]:
    """All of it, as JSON."""
    return _known()
