"""Row ``gate-cost``: a verdict on a large fleet, beside a permutation test of the same counts in numpy."""

import time
from random import Random

import numpy as np

from activities.evidence import Counts, History, Sample
from activities.measures import MEASURES
from activities.sampling import summarise
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World
from workflows.gate import POLICIES, judge

CHARGERS = 100_000
TREATED = 0.2
PERMUTATIONS = 200
ROUNDS = 3
TARGET_S = 2.0


async def measure_gate_cost(world: World) -> list[Row]:
    """From the counts of each charger to the verdict, in one process; the best of a few rounds."""
    count = 2_000 if world.quick else CHARGERS
    sample = _fleet(count, Random(world.seed))
    say(f"{count} chargers x {len(sample.signals)} signals")
    best = min(_timed(sample) for _ in range(ROUNDS))
    naive = _permuted(sample, world.seed)
    return [
        Row(
            name="gate-cost",
            value=best,
            unit="s",
            comparator=f"{PERMUTATIONS} permutations in numpy",
            comparator_value=naive,
            ratio=best / naive,
            target=f"< {TARGET_S:g} s",
            met=best < TARGET_S,
        )
    ]


def _timed(sample: Sample) -> float:
    started = time.perf_counter()
    judge(POLICIES["balanced"], summarise(sample), History())
    return time.perf_counter() - started


def _permuted(sample: Sample, seed: int) -> float:
    """No strata, no sites, no baselines: the difference of two ratios under shuffled labels."""
    columns = [(np.array(counts.hits), np.array(counts.exposure)) for counts in sample.signals.values()]
    labels, random = np.array(sample.treated), np.random.default_rng(seed)
    started = time.perf_counter()
    for _ in range(PERMUTATIONS):
        random.shuffle(labels)
        for hits, exposure in columns:
            hits[labels].sum() / exposure[labels].sum() - hits[~labels].sum() / exposure[~labels].sum()
    return time.perf_counter() - started


def _fleet(count: int, chance: Random) -> Sample:
    """Seven models of three hardware revisions on sites of eight; a fifth of them updated."""
    exposure = [chance.randrange(60) for _ in range(count)]
    signals = {}
    for place, name in enumerate(MEASURES):
        rate = (0.06, 0.02, 0.001)[place % 3]
        hits = [sum(chance.random() < rate for _ in range(each)) for each in exposure]
        base = [int(chance.random() < 40 * rate) for _ in range(count)]
        signals[name] = Counts(hits, exposure, base, [40] * count)
    return Sample(
        strata=[f"Vendor/M{row % 7}|H{row % 3}" for row in range(count)],
        sites=[f"s{row // 8}" for row in range(count)],
        treated=[chance.random() < TREATED for _ in range(count)],
        minutes=[6000] * count,
        heard=[True] * count,
        signals=signals,
    )
