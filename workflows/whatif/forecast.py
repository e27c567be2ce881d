"""Many replays in a few numbers: when a plan ends, whom it does not reach, what it costs drivers. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from storage.health_policy import HealthPolicy
from workflows.trial import Wilson
from workflows.whatif.replay import Run, replay
from workflows.whatif.study import Study
from workflows.whatif.weeks import Silences, Weeks

EDGE = 0.01
"""Of the replays beyond each end of a band. Weeks to come differ from recorded ones by more than those do
from each other, so 98 % of the replays hold about 90 % of what comes: measured by the row ``whatif``."""
FEWEST_WEEKS = 2
_SHOWN = 20
_OFTEN = 0.5


@dataclass(frozen=True, slots=True)
class Band:
    """A number as it is likely to be: the middle, and where it will be nine times of ten."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Band":
        """Of replays; where an end falls between two of them, the outer one."""
        order = sorted(values)
        if not order:
            return cls(0.0, 0.0, 0.0)
        edge = EDGE * (len(order) - 1)
        return cls(order[int(edge)], order[len(order) // 2], order[len(order) - 1 - int(edge)])


@dataclass(frozen=True, slots=True)
class Blocked:
    """A charger that a wave is likely to close without."""

    charger_id: str
    share: float
    """Of the replays."""
    why: str


@dataclass(frozen=True, slots=True)
class Forecasted:
    """What a plan would come to."""

    runs: int
    weeks: int
    cohort: int
    unrecorded: int
    """Chargers of which nothing is recorded: they are taken for offline."""
    minutes: Band | None
    """To the end; None: every replay was stopped."""
    waves: tuple[Band, ...]
    """To the opening of each gate."""
    updated: Band
    failed: Band
    deferrals: Band
    """Chargers that wait at least once for a car."""
    blocked: Band
    reasons: tuple[tuple[str, float], ...]
    """Why chargers are blocked, each with how many on average."""
    most_blocked: tuple[Blocked, ...]
    lost_kwh: Band
    trials: int
    """Gates on trial over the recorded weeks ..."""
    stopped: int
    """... and those that stopped a release with which nothing was wrong."""
    permitted: float
    """What the policy permits of that; 0: no policy of health."""
    assumed: tuple[str, ...]
    """What no recording tells, in sentences."""

    @property
    def false_stop(self) -> Wilson:
        """The chance of a false stop, as far as the trials tell."""
        return Wilson(self.stopped, self.trials)


def forecast(study: Study, runs: int, seed: int, tell: Callable[[int], None] = lambda _: None) -> Forecasted:
    """Replay a plan many times, each on the recorded weeks in another order."""
    found = []
    silences = Silences.of((member for wave in study.waves for member in wave), study.weeks)
    for number in range(runs):
        chance = Random(seed * 1_000_003 + number)  # noqa: S311 - reproducible, not a secret
        found.append(replay(study, Weeks(study.weeks, chance, silences), chance))
        tell(number + 1)
    return summarised(study, found)


def summarised(study: Study, found: Sequence[Run]) -> Forecasted:
    """The numbers of some replays."""
    ended = [run for run in found if not run.stopped]
    policy = study.plan.gate.health
    whole = [member for wave in study.waves for member in wave]
    return Forecasted(
        runs=len(found),
        weeks=study.weeks,
        cohort=len(whole),
        unrecorded=sum(not member.recorded.heard for member in whole),
        minutes=Band.of([run.minutes for run in ended]) if ended else None,
        waves=tuple(
            Band.of([run.waves[number] for run in found if number < len(run.waves)])
            for number in range(len(study.waves))
        ),
        updated=Band.of([run.updated for run in ended]),
        failed=Band.of([run.failed for run in ended]),
        deferrals=Band.of([run.deferred for run in ended]),
        blocked=Band.of([len(run.blocked) for run in ended]),
        reasons=_reasons(ended),
        most_blocked=_most_blocked(ended),
        lost_kwh=Band.of([run.lost_wh / 1000 for run in ended]),
        trials=len(study.gate_hours),
        stopped=study.gates_stopped,
        permitted=policy.false_stop if policy else 0.0,
        assumed=_assumed(study, policy),
    )


def _reasons(found: Sequence[Run]) -> tuple[tuple[str, float], ...]:
    counted = Counter(why for run in found for why in run.blocked.values())
    return tuple((why, count / len(found)) for why, count in counted.most_common(_SHOWN))


def _most_blocked(found: Sequence[Run]) -> tuple[Blocked, ...]:
    counted = Counter(name for run in found for name in run.blocked)
    why = {name: reason for run in found for name, reason in run.blocked.items()}
    often = [(name, count) for name, count in counted.most_common(_SHOWN) if count >= _OFTEN * len(found)]
    return tuple(Blocked(name, count / len(found), why[name]) for name, count in often)


def _and_steady(study: Study) -> str:
    seconds = study.plan.pace.steady_seconds
    return f", and each stays up for {seconds / 60:.3g} more before it counts" if seconds else ""


def _assumed(study: Study, policy: HealthPolicy | None) -> tuple[str, ...]:
    approvals = sum(wave.needs_approval for wave in study.plan.waves)
    sentences = [
        f"An attempt takes about {study.attempt_minutes:g} minutes{_and_steady(study)}.",
        f"{study.failure_share * 100:g} % of them fail.",
        "Weeks to come are like recorded ones, in any order.",
        "No other campaign or maintenance is in the way.",
    ]
    if approvals:
        sentences.append(f"People approve {approvals} waves at once: their time comes on top.")
    if policy is None:
        sentences.append("Gates judge outcomes only and open as soon as a wave has settled.")
    if study.weeks < FEWEST_WEEKS:
        sentences.append("Only one week is recorded: bands are too narrow, for weeks differ.")
    return tuple(sentences)
