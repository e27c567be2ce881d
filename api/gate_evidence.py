"""What stored verdicts say of health, ready to be shown: the latest numbers, and each signal over looks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflows.gate.signals import words_of

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """One signal at one look; rates from 0 to 1."""

    hours: float
    """Charger-hours of the updated."""
    treated: float
    control: float
    bound: float
    """Above it, the updated would show harm that matters: the others' rate and the threshold."""
    upper: float
    """As far up as the updated may be, with the policy's confidence."""


@dataclass(frozen=True, slots=True)
class Series:
    """One signal over the looks at a campaign, oldest first."""

    signal: str
    title: str
    role: str
    says: str
    sentence: str
    test: str
    looks: list[Look] = field(default_factory=list)


def health_of(result: Result) -> Result | None:
    """The judgement of health in a stored verdict, if the plan asked for one."""
    found = result.get("health")
    return found if isinstance(found, Mapping) else None


def series_of(results: Sequence[Result]) -> list[Series]:
    """Every signal of the latest judgement over all looks, those that decide first."""
    judged = [found for found in map(health_of, results) if found and found.get("comparisons")]
    if not judged:
        return []
    looks: defaultdict[str, list[Look]] = defaultdict(list)
    for health in judged:
        for one in _fleetwide(health):
            looks[one["signal"]].append(_look(float(health["hours"]), one))
    order = {"primary": 0, "guard": 1, "shadow": 2}
    latest = sorted(_fleetwide(judged[-1]), key=lambda one: order.get(one["role"], 3))
    return [
        Series(
            signal=one["signal"],
            title=words_of(one["signal"]).title,
            role=one["role"],
            says=one["says"],
            sentence=one["sentence"],
            test=one["test"],
            looks=looks[one["signal"]],
        )
        for one in latest
    ]


def outlook(health: Result) -> str:
    """What would change the word, and how long a hold can take, in a sentence or two."""
    hours = health.get("resolves_hours")
    wait = ""
    if health["word"] == "hold":
        wait = (
            " Waiting alone does not resolve it."
            if hours is None
            else f" At best in {_length(float(hours))}."
        )
    return f"Decided by {health['decided_by']}. Would change it: {health['would_change']}{wait}"


def _length(hours: float) -> str:
    if hours < 1:
        return "less than an hour"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"


def _fleetwide(health: Result) -> list[Mapping[str, Any]]:
    return [one for one in health["comparisons"] if not one["segment"]]


def _look(hours: float, one: Mapping[str, Any]) -> Look:
    control = _rate(one["control"])
    return Look(
        hours=hours,
        treated=_rate(one["treated"]),
        control=control,
        bound=control + float(one["threshold"]),
        upper=control + float(one["upper"]),
    )


def _rate(arm: Mapping[str, Any]) -> float:
    return arm["hits"] / arm["exposure"] if arm["exposure"] else 0.0
