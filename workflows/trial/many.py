"""Some policies, each on the same good and the same bad campaigns. Pure; one world at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from storage.health_policy import HealthPolicy
from workflows.trial.campaign import Outcome, run
from workflows.trial.fleet import Fleet, world_of
from workflows.trial.rule import AS_USUAL, GateRule, Outcomes
from workflows.trial.score import Score, score
from workflows.trial.shapes import NO_HARM, FleetShape, Harm, PlanShape
from workflows.trial.world import World as Lives
from workflows.trial.world import build


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried, on what."""

    policies: Mapping[str, HealthPolicy]
    shape: FleetShape
    plan: PlanShape
    harm: Harm
    campaigns: int
    seed: int = 7
    outcomes: Outcomes = AS_USUAL
    fleet: Fleet | None = None
    """A recorded one, instead of the shape."""

    def world(self, harm: Harm, seed: int) -> Lives:
        """A fleet with this release."""
        if self.fleet is None:
            return build(self.shape, harm, self.plan.max_days, seed)
        return world_of(self.fleet, harm, self.plan.max_days, seed)


@dataclass(frozen=True, slots=True)
class World:
    """One of the worlds of a trial, as its number."""

    trial: Trial
    number: int
    good: bool


@dataclass(frozen=True, slots=True)
class PolicyScore:
    """One policy."""

    good: Score
    bad: Score


def worlds(trial: Trial) -> list[World]:
    """All that have to be simulated, in any order and anywhere."""
    return [World(trial, number, good) for good in (True, False) for number in range(trial.campaigns)]


def simulate(one: World) -> dict[str, Outcome]:
    """What each policy made of it."""
    trial = one.trial
    seed = 2 * (trial.seed * 1_000_000 + one.number) + one.good
    harm = NO_HARM if one.good else trial.harm
    world = trial.world(harm, seed)
    plan = replace(trial.plan, seed=seed)
    return {
        name: run(world, plan, GateRule(policy, trial.outcomes)) for name, policy in trial.policies.items()
    }


def scores(trial: Trial, done: Iterable[tuple[World, Mapping[str, Outcome]]]) -> dict[str, PolicyScore]:
    """By policy."""
    found: dict[bool, list[Mapping[str, Outcome]]] = {True: [], False: []}
    for world, outcomes in done:
        found[world.good].append(outcomes)
    return {name: PolicyScore(_of(found[True], name), _of(found[False], name)) for name in trial.policies}


def _of(outcomes: Sequence[Mapping[str, Outcome]], name: str) -> Score:
    return score([each[name] for each in outcomes])
