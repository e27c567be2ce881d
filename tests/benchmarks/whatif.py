"""Row ``whatif``: a forecast of a large campaign, and how often what comes is within the bands of one."""

import asyncio
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from random import Random

from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World
from tests.support.recorded_fleet import Shape, plan, recordings, split, study
from workflows.gate import POLICIES
from workflows.whatif import Forecasted, Weeks, forecast, replay

CHARGERS = 100_000
RUNS = 20
"""Of the large one; each replays all of its chargers."""
LONG = {"wave_deadline_seconds": 10 * 86400.0}
"""Three waves of at most ten days each: thirty days."""
TARGET_S = 600.0
HELD_OUT = 60
HELD_OUT_CHARGERS = 300
HELD_OUT_RUNS = 100
WITHIN = 0.8
"""At least so many campaigns that come have to be within the band of nine in ten."""


@dataclass(frozen=True)
class Held:
    """Whether one campaign in weeks that no forecast has seen came as forecast."""

    finish: bool
    deferrals: bool
    blocked: bool


async def measure_whatif(world: World) -> list[Row]:
    """The large one in one process; held-out campaigns on all processors."""
    count = 2_000 if world.quick else CHARGERS
    seconds, found = await asyncio.to_thread(_large, count, world.seed)
    if found.minutes:
        say(f"{count} chargers: {found.minutes.middle / 1440:.1f} days, {found.runs} replays")
    held = await asyncio.to_thread(_held_out, world.sized(HELD_OUT, 4), world.seed)
    shares = {
        name: sum(getattr(each, name) for each in held) / len(held)
        for name in ("finish", "deferrals", "blocked")
    }
    say(f"within the band, of {len(held)} held-out campaigns: {shares}")
    return [
        Row("whatif", seconds, f"s for {count} chargers x 30 days x {found.runs}", None, None, None,
            f"< {TARGET_S:g} s", seconds < TARGET_S),
        Row("whatif-coverage", 100 * shares["finish"], f"% of {len(held)} held-out finish dates within",
            "deferrals within", 100 * shares["deferrals"], None, f">= {100 * WITHIN:g} %",
            min(shares.values()) >= WITHIN),
    ]  # fmt: skip


def _large(count: int, seed: int) -> tuple[float, Forecasted]:
    given = study(plan(POLICIES["balanced"], **LONG), recordings(Shape(count), seed), 4)
    started = time.perf_counter()
    found = forecast(given, RUNS, seed)
    return time.perf_counter() - started, found


def _held_out(campaigns: int, seed: int) -> list[Held]:
    with ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn")) as pool:
        return list(pool.map(_one, [seed * 1000 + number for number in range(campaigns)]))


def _one(seed: int) -> Held:
    """Four weeks to forecast from, and the next four to be wrong in."""
    before, after = split(recordings(Shape(HELD_OUT_CHARGERS, weeks=8), seed), 4)
    found = forecast(study(plan(), before, 4), HELD_OUT_RUNS, seed)
    came = replay(study(plan(), after, 4), Weeks(4), Random(seed))
    finish = found.minutes is not None and found.minutes.low <= came.minutes <= found.minutes.high
    return Held(
        finish,
        found.deferrals.low <= came.deferred <= found.deferrals.high,
        found.blocked.low <= len(came.blocked) <= found.blocked.high,
    )
