"""The demo's closing report (DESIGN section 12): pure, from what the api told and what the chargers lived.

The promises are measured against the simulator's ledger, which knows what really happened to each
charger and never asks the server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from api.demo.elsewhere import Recomputed
from storage.campaign import ATTEMPTED, Outcome

_ATTEMPTED = {outcome.value for outcome in ATTEMPTED}


@dataclass(frozen=True, slots=True)
class WaveLine:
    """One wave as it went. ``deferred``: chargers that had to wait because a car was charging."""

    name: str
    verdict: str
    reason: str
    updated: int
    failed: int
    deferred: int


@dataclass(frozen=True, slots=True)
class CampaignLine:
    """One campaign as it ended. ``harmed``: chargers that a bad image ran on before the stop."""

    artifact: str
    outcome: str
    waves: tuple[WaveLine, ...]
    attested: int
    rolled_back: int
    harmed: int


@dataclass(frozen=True, slots=True)
class Promises:
    """Every number must be 0."""

    sessions_cut: int
    unsigned_sends: int
    sites_dark: int
    unattested_successes: int
    lost_events: int

    def broken(self) -> list[str]:
        """The names of those that did not hold."""
        return [name for name, count in asdict(self).items() if count]


@dataclass(frozen=True, slots=True)
class Cost:
    """Temporal's bill on the happy path, per charger, the parents' share included."""

    actions_per_charger: float
    events_per_charger: float
    bytes_per_charger: float


LIMITS = Cost(actions_per_charger=8, events_per_charger=35, bytes_per_charger=4096)


@dataclass(frozen=True, slots=True)
class Report:
    """What ``--report FILE`` holds."""

    seconds: float
    chargers: int
    campaigns: tuple[CampaignLine, ...]
    promises: Promises
    cost: Cost
    recomputed: Recomputed = field(default_factory=Recomputed)

    def failures(self) -> list[str]:
        """Everything that keeps the demo from succeeding, in words."""
        return [
            *self._broken_promises(),
            *self._wrong_ends(),
            *self._over_budget(),
            *self._other_verdicts(),
        ]

    def _other_verdicts(self) -> list[str]:
        differing = self.recomputed.differing
        return [f"{differing} verdicts do not follow from what was stored of them"] if differing else []

    def _broken_promises(self) -> list[str]:
        values = asdict(self.promises)
        return [f"{name.replace('_', ' ')}: {values[name]}, not 0" for name in self.promises.broken()]

    def _wrong_ends(self) -> list[str]:
        good, bad = self.campaigns
        problems = []
        if good.outcome != "completed":
            problems.append(f"the good release {good.artifact} ended {good.outcome}, not completed")
        if good.attested != self.chargers:
            problems.append(f"{good.attested} of {self.chargers} chargers proved {good.artifact}")
        if bad.outcome != "rolled_back":
            problems.append(f"the bad release {bad.artifact} ended {bad.outcome}, not rolled_back")
        if not bad.harmed:
            problems.append(f"the bad release {bad.artifact} reached no charger, so nothing was shown")
        if bad.attested != self.chargers:
            problems.append(f"{bad.attested} of {self.chargers} chargers are back on {good.artifact}")
        return problems

    def _over_budget(self) -> list[str]:
        spent, allowed = asdict(self.cost), asdict(LIMITS)
        return [
            f"{name.replace('_', ' ')}: {spent[name]:.1f}, over {allowed[name]:g}"
            for name in ("actions_per_charger", "events_per_charger")
            if spent[name] > allowed[name]
        ]


def wave_lines(
    waves: Sequence[Mapping[str, Any]], decisions: Sequence[Mapping[str, Any]]
) -> tuple[WaveLine, ...]:
    """Waves from the api's tallies, each with the last verdict of its gate."""
    last = {decision["wave"]: decision for decision in decisions}
    return tuple(_wave_line(wave, last.get(wave["wave"])) for wave in waves)


def _wave_line(wave: Mapping[str, Any], decision: Mapping[str, Any] | None) -> WaveLine:
    outcomes = wave["by_outcome"]
    return WaveLine(
        name=wave["name"],
        verdict=decision["verdict"] if decision else "none",
        reason=decision["reason"] if decision else "not reached",
        updated=outcomes.get(Outcome.UPDATED.value, 0),
        failed=outcomes.get(Outcome.FAILED.value, 0) + outcomes.get(Outcome.SILENT.value, 0),
        deferred=wave["deferred_for_session"],
    )


def harmed(targets: Sequence[Mapping[str, Any]]) -> int:
    """How many chargers a bad image was installed on, or tried to be, before the stop."""
    return len({target["charger_id"] for target in targets if target["outcome"] in _ATTEMPTED})


def unattested(updated: Mapping[str, str], truly_ran: Mapping[str, set[str]]) -> int:
    """Chargers that count as updated to a version which they, by their own ledger, never ran.

    Args:
        updated: charger id -> the version the campaign says it proved.
        truly_ran: charger id -> every version it really ran.
    """
    return sum(version not in truly_ran.get(charger_id, set()) for charger_id, version in updated.items())
