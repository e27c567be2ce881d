"""Row ``gates``: false stops, power and chargers harmed, beside other products' rules on the same campaigns.

``python -m tests.benchmarks.gates --good 400 --bad 100 --write docs`` makes the published page and plot.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from math import inf
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import gates_page, rivals
from tests.benchmarks.report import Row, say
from workflows.gate import POLICIES
from workflows.trial import (
    HARMS,
    NO_HARM,
    Ending,
    FleetShape,
    GateRule,
    Harm,
    Outcome,
    PlanShape,
    Rule,
    Score,
    build,
    run,
    score,
)

if TYPE_CHECKING:
    from tests.benchmarks.world import World

PERMITTED = 0.05
OURS = "Ampwave balanced"
MAIN = "sessions"
PLAN = PlanShape()

RULES: dict[str, Callable[[], Rule]] = {
    **{f"Ampwave {name}": lambda policy=policy: GateRule(policy) for name, policy in POLICIES.items()},
    "hawkBit 50/50": rivals.hawkbit,
    "AWS 10 % of 20": rivals.aws,
    "Azure 10 % and 5": rivals.azure,
    "NervesHub 50": rivals.nerveshub,
    "Kayenta 0.25, 0.98": rivals.kayenta,
    "daily z-test 5 %": rivals.z_test,
}
"""As shipped, or as documented."""
TUNED: dict[str, Callable[[float], rivals.Installs | rivals.Daily]] = {
    "hawkBit tuned": rivals.hawkbit,
    "AWS tuned": rivals.aws,
    "Azure tuned": rivals.azure,
    "Kayenta tuned": rivals.kayenta_at,
    "z-test tuned": rivals.z_test,
}
"""With the threshold that stops as many good campaigns as permitted, found on those campaigns themselves."""


@dataclass(frozen=True)
class Task:
    """One world, and the rules to run on it."""

    harm: Harm
    seed: int
    rules: tuple[str, ...]
    limits: tuple[tuple[str, float], ...] = ()
    """Of the tuned; infinite ones only record."""


@dataclass(frozen=True)
class Done:
    """What each rule made of one world."""

    outcomes: dict[str, Outcome]
    worst: dict[str, float]


@dataclass(frozen=True)
class Results:
    """Scores by rule and harm."""

    scores: dict[str, dict[str, Score]]
    limits: dict[str, float]
    good: int
    bad: int
    seed: int

    def tuned(self) -> list[str]:
        """Rules compared at an equal rate of false stops: the tuned, and those that keep it anyhow."""
        good = NO_HARM.name
        return [
            name
            for name in (*TUNED, *RULES)
            if not name.startswith("Ampwave") and self.scores[name][good].stopped.share <= PERMITTED
        ]

    def harmed(self, rule: str) -> float:
        """Chargers on average over all harms."""
        return sum(self.scores[rule][harm].harmed for harm in HARMS) / len(HARMS)


def simulate(task: Task) -> Done:
    """One world under each rule."""
    world = build(FleetShape(), task.harm, PLAN.max_days, task.seed)
    plan = PlanShape(seed=task.seed)
    outcomes = {name: run(world, plan, RULES[name]()) for name in task.rules}
    worst = {}
    for name, limit in task.limits:
        rule = TUNED[name](limit)
        outcomes[name] = run(world, plan, rule)
        worst[name] = rule.worst
    return Done(outcomes, worst)


def compare(good: int, bad: Callable[[str], int], seed: int, policies: Sequence[str]) -> Results:
    """Everything: first good releases, from which the tuned get their thresholds; then bad ones."""
    rules = tuple(name for name in RULES if not name.startswith("Ampwave") or name in policies)
    with ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn")) as pool:
        say(f"gates: {good} good campaigns")
        open_ended = tuple((name, inf) for name in TUNED)
        calm = list(
            pool.map(
                simulate,
                [Task(NO_HARM, seed * 1_000_000 + n, rules, open_ended) for n in range(good)],
                chunksize=2,
            )
        )
        limits = {name: _permitting([one.worst[name] for one in calm]) for name in TUNED}
        found = {NO_HARM.name: _with_limits(calm, limits)}
        for harm in HARMS.values():
            count = bad(harm.name)
            say(f"gates: {count} campaigns with {harm.name}")
            tasks = [
                Task(harm, seed * 1_000_000 + 500_000 + n, rules, tuple(limits.items())) for n in range(count)
            ]
            found[harm.name] = [one.outcomes for one in pool.map(simulate, tasks, chunksize=2)]
    scores = {
        rule: {harm: score([one[rule] for one in outcomes]) for harm, outcomes in found.items()}
        for rule in (*rules, *TUNED)
    }
    return Results(scores, limits, good, bad(MAIN), seed)


def _permitting(worst: Sequence[float]) -> float:
    """The lowest threshold that at most the permitted share of good campaigns exceeds."""
    order = sorted(worst)
    allowed = int(PERMITTED * len(order))
    return max(order[len(order) - 1 - allowed], 1e-9) * (1 + 1e-9)


def _with_limits(calm: Iterable[Done], limits: dict[str, float]) -> list[dict[str, Outcome]]:
    """Of the tuned, good campaigns once more: stopped where they would have exceeded the threshold."""
    return [
        {
            name: _stopped(outcome) if name in limits and done.worst[name] > limits[name] else outcome
            for name, outcome in done.outcomes.items()
        }
        for done in calm
    ]


def _stopped(outcome: Outcome) -> Outcome:
    return replace(outcome, ending=Ending.STOPPED)


async def measure_gates(world: "World") -> list[Row]:
    """The bounded run: one policy of ours, every rival."""
    good, main, other = world.sized(120, 2), world.sized(60, 2), world.sized(14, 1)
    results = await asyncio.to_thread(
        compare, good, lambda harm: main if harm == MAIN else other, world.seed, (OURS,)
    )
    return rows_of(results)


def rows_of(results: Results) -> list[Row]:
    """Three numbers, each beside the rival that is best at it."""
    ours = results.scores[OURS]
    false, power = ours[NO_HARM.name].stopped, ours[MAIN].stopped
    naive = results.scores["daily z-test 5 %"][NO_HARM.name].stopped.share
    fair = results.tuned()
    best = min(fair, key=results.harmed)
    strongest = max(fair, key=lambda name: results.scores[name][MAIN].stopped.share)
    harmed, theirs = results.harmed(OURS), results.harmed(best)
    rival = results.scores[strongest][MAIN].stopped.share
    return [
        Row("gates-false-stops", 100 * false.share, f"% of {false.of} good campaigns", "daily z-test 5 %",
            100 * naive, false.share / naive if naive else None, "<= 5 %", false.share <= PERMITTED),
        Row("gates-power", 100 * power.share, f"% of {power.of} with +5 points stopped", strongest,
            100 * rival, power.share / rival if rival else None, ">= 90 %", power.share >= 0.9),
        Row("gates-harmed", harmed, f"chargers of {FleetShape().chargers}, over {len(HARMS)} harms", best,
            theirs, harmed / theirs if theirs else None, "fewest", harmed <= theirs),
    ]  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """The page and the plot."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gates", description=__doc__)
    parser.add_argument("--good", type=int, default=400, help="good campaigns")
    parser.add_argument("--bad", type=int, default=100, help="campaigns with each harm")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--policies", default=",".join(POLICIES), help="ours")
    parser.add_argument("--write", type=Path, default=Path("docs"), help="folder of GATE-NUMBERS.md")
    chosen = parser.parse_args(arguments)
    chosen.write.mkdir(parents=True, exist_ok=True)  # before the work, which takes long
    ours = tuple(f"Ampwave {name}" for name in chosen.policies.split(","))
    results = compare(chosen.good, lambda _: chosen.bad, chosen.seed, ours)
    command = f"python -m tests.benchmarks.gates --good {chosen.good} --bad {chosen.bad} --seed {chosen.seed}"
    command += f" --policies {chosen.policies}" if chosen.policies != ",".join(POLICIES) else ""
    gates_page.write(chosen.write, results, command)
    for row in rows_of(results):
        say(f"{row.name}: {row.value:.1f} {row.unit} ({row.comparator}: {row.comparator_value})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
