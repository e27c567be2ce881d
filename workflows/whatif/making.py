"""A forecast from everything it needs: gates on trial over the recorded weeks, then replays. Pure."""

from dataclasses import dataclass, replace

from workflows.trial import NO_HARM, Ending, GateRule, PlanShape, run
from workflows.trial.fleet import Fleet, world_of
from workflows.trial.rule import Outcomes
from workflows.whatif.forecast import Forecasted, forecast
from workflows.whatif.study import Study

TRIALS = 12
TRIAL_DAYS = 30
_MOST = 2_000_000
_FEWEST = 10


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted."""

    study: Study
    fleet: Fleet | None
    """A part of the cohort, for the gates on trial; None: the plan names no policy of health."""
    runs: int = 100
    seed: int = 7
    trials: int = TRIALS


def make(order: Order) -> Forecasted:
    """Of huge cohorts fewer replays: their numbers hardly differ from one to the other."""
    study = order.study
    if order.fleet is not None and study.plan.gate.health is not None:
        study = on_trial(study, order)
    cohort = sum(map(len, study.waves))
    runs = max(min(order.runs, _MOST // max(cohort, 1)), min(order.runs, _FEWEST))
    return forecast(study, runs, order.seed)


def on_trial(study: Study, order: Order) -> Study:
    """The same, with how long gates took over the recorded weeks, and how many stopped a good release."""
    policy, fleet = study.plan.gate.health, order.fleet
    if policy is None or fleet is None:
        return study
    outcomes = Outcomes(replace(study.plan.gate, health=None), study.plan.waves)
    # As drawn: waves may be lists, queries and counts, too, and a share is one of what those leave.
    cohort = max(sum(map(len, study.waves)), 1)
    shares = tuple(len(members) / cohort for members in study.waves)
    found = []
    for number in range(order.trials):
        seed = order.seed * 1_000_003 + number
        world = world_of(fleet, NO_HARM, TRIAL_DAYS, seed, study.failure_share)
        found.append(run(world, PlanShape(shares, seed=seed), GateRule(policy, outcomes)))
    stopped = sum(one.ending is Ending.STOPPED for one in found)
    return replace(study, gate_hours=tuple(one.waits for one in found), gates_stopped=stopped)
