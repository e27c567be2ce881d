"""Randomised, fault-injected campaigns in simulated time: how many promises were broken, of how many."""

import asyncio

from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World
from tests.safety.campaigns import play_many
from tests.safety.page import results, summary


async def measure_safety(world: World) -> list[Row]:
    """``make safety`` as a row; see ``tests/safety/README.md``."""
    count = world.sized(10_000, 2)
    seeds = range(world.seed, world.seed + count)
    tally = await asyncio.to_thread(play_many, seeds, jobs=1 if world.quick else None)
    say(summary(results(tally, "make bench ONLY=safety")))
    unit = f"violations in {tally.campaigns:,} campaigns, {sum(tally.injected.values()):,} faults"
    found = tally.violations
    return [Row("safety", found, unit, None, None, None, "0", found == 0)]
