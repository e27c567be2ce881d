"""What stored verdicts say of health, ready to be shown: the latest numbers, and each signal over looks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflows.gate.signals import words_of

Result = Mapping[str, Any]
MEANINGS = {
    "harm": ("harm", "at least what matters, and beyond chance"),
    "doubt": ("suspect", "at least what matters, and hardly chance: the wave waits until it is clear"),
    "clear": ("no harm", "what matters is excluded"),
    "quiet": ("none seen", "no harm was seen, but too little yet to exclude it"),
    "open": ("not known", "too little to tell"),
}
"""What a signal says, by its word in the records: for a table, and at length."""
_RULES = {
    "measurement": "the measurement",
    "arms": "whom there is to compare",
    "exposure": "the time that the updated have lived",
    "coverage": "how many chargers were heard",
    "sites": "how many sites the updated are on",
    "signals": "what was measured",
    "baseline": "the chargers' own past",
}
_HOUR_SECONDS = 3600
IN_POINTS = (
    "How much more is in percentage points and compared like with like: within each model, hardware and kind "
    "of site, less what the chargers' own past led to expect; so it is not quite the difference of the two "
    "shares."
)
"""What people misread in a verdict's sentence, which is stored and recomputed as it is."""


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
    """A key of ``MEANINGS``."""
    sentence: str
    test: str
    decided: bool = False
    """The latest word is by this one."""
    looks: list[Look] = field(default_factory=list)

    @property
    def tells(self) -> bool:
        """Whether it decides, or may: a guard that saw nothing is for who wants to look."""
        return self.decided or self.role == "primary" or self.says in ("harm", "doubt")


def health_of(result: Result) -> Result | None:
    """The judgement of health in a stored verdict, if the plan asked for one."""
    found = result.get("health")
    return found if isinstance(found, Mapping) else None


def series_of(results: Sequence[Result]) -> list[Series]:
    """Every signal of the latest judgement over all looks, those that decide first."""
    said = [found for found in map(health_of, results) if found]
    judged = [found for found in said if found.get("comparisons")]
    if not judged:
        return []
    looks: defaultdict[str, list[Look]] = defaultdict(list)
    for health in judged:
        for one in _fleetwide(health):
            looks[one["signal"]].append(_look(float(health["hours"]), one))
    decider = _signal(said[-1]["decided_by"])
    latest = sorted(_fleetwide(judged[-1]), key=lambda one: _order(one, decider))
    return [
        Series(
            signal=one["signal"],
            title=words_of(one["signal"]).title,
            role=one["role"],
            says=one["says"],
            sentence=one["sentence"],
            test=one["test"],
            decided=one["signal"] == decider,
            looks=looks[one["signal"]],
        )
        for one in latest
    ]


def outlook(health: Result) -> str:
    """What would change the word, and how long a hold can take, in a sentence or two."""
    hours, scale = health.get("resolves_hours"), _scale(health)
    wait = ""
    if health["word"] == "hold":
        wait = (
            " Waiting alone does not resolve this."
            if hours is None
            else f" It may be clear in {_length(float(hours) * scale)} at the earliest."
        )
    wait += f" {IN_POINTS}" if compared(health) else ""
    short = f" An hour of health lasts {health['hour_seconds']} s here." if scale != 1 else ""
    decider = decided_by(health)
    return f"Decided by {decider}. What would change it: {health['would_change']}{wait}{short}"


def compared(health: Result) -> bool:
    """Whether the sentence of a verdict says how much more of something the updated have."""
    return " % more" in str(health.get("reason", ""))


def decided_by(health: Result) -> str:
    """The signal, or the rule, in words."""
    named = str(health["decided_by"])
    if named in _RULES:
        return _RULES[named]
    signal, _, segment = named.partition(" on ")
    return f"{words_of(signal).title} on {segment}" if segment else words_of(signal).title


def left_out(inputs: Mapping[str, Any]) -> str:
    """Whom a look could not count because they changed sides, in a sentence; "": nobody."""
    evidence = inputs.get("evidence")
    count = evidence.get("changed") if isinstance(evidence, Mapping) else None
    if not count:
        return ""
    are = "charger is" if count == 1 else "chargers are"
    return f"{count} {are} left out of the comparison: not on the firmware that their group runs."


def telling(one: Mapping[str, Any]) -> bool:
    """Whether a comparison says anything: that of a single model is mostly too small to."""
    return not one["segment"] or one["says"] in ("harm", "doubt")


def _signal(decided_by: object) -> str:
    return str(decided_by).partition(" on ")[0]


def _order(one: Mapping[str, Any], decider: str) -> tuple[bool, bool, int]:
    """The one that decided, then what is in doubt, then by what may decide."""
    roles = {"primary": 0, "guard": 1, "shadow": 2}
    return one["signal"] != decider, one["says"] not in ("harm", "doubt"), roles.get(one["role"], 3)


def _scale(health: Result) -> float:
    seconds = health.get("hour_seconds")
    return float(seconds) / _HOUR_SECONDS if seconds else 1.0


def _length(hours: float) -> str:
    if hours < 0.1:
        return "less than a minute" if hours < 1 / 60 else "a few minutes"
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
