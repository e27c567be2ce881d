"""``make safety``: randomised, fault-injected campaigns on the real engine, in simulated time.

Every promise of the design is watched over by a referee. Exit 0 if none was broken.
``--replay SEED`` plays one campaign and prints its trace; ``--shrink`` makes it as small as it gets.
"""

import argparse
import sys
from pathlib import Path

from tests.benchmarks import report as bench
from tests.safety import page
from tests.safety.campaigns import Tally, play_many, quiet, shrunk
from tests.safety.scenario import draw
from tests.safety.simulation import play

_TOLD: set[int] = set()
"""Seeds that broke a promise: said as soon as they are known, not when all have been played."""


def main(arguments: list[str]) -> int:
    """0: no promise was broken."""
    parser = argparse.ArgumentParser(prog="make safety", description=__doc__)
    parser.add_argument("--campaigns", type=int, default=10_000, help="how many seeds")
    parser.add_argument("--seed", type=int, default=7, help="the first of them")
    parser.add_argument("--jobs", type=int, default=None, help="processes; all processors unless given")
    parser.add_argument("--minutes", type=float, help="stop after so long, and say how many it were")
    parser.add_argument("--replay", type=int, help="play the campaign of one seed and print what happened")
    parser.add_argument("--shrink", action="store_true", help="with --replay: find the smallest that fails")
    parser.add_argument("--out", type=Path, default=Path(".ampwave/safety.json"), help="the numbers, as JSON")
    parser.add_argument("--page", type=Path, help="write the published page, too")
    chosen = parser.parse_args(arguments)
    if chosen.replay is not None:
        return _replay(chosen.replay, shrink=chosen.shrink)
    seeds = range(chosen.seed, chosen.seed + chosen.campaigns)
    tally = play_many(seeds, jobs=chosen.jobs, minutes=chosen.minutes, each=_progress)
    results = page.results(tally, " ".join(["python -m tests.safety", *arguments]))
    page.write_json(chosen.out, results)
    if chosen.page is not None:
        chosen.page.write_text(page.page(results))
    print(page.summary(results))
    for one in tally.broken[:20]:
        print(f"seed {one.seed}:", *one.violations, sep="\n  ")
    if tally.broken:
        seed = tally.broken[0].seed
        print(f"Look at one: python -m tests.safety --replay {seed} --shrink")
    return 1 if tally.broken else 0


def _progress(tally: Tally) -> None:
    if tally.broken and tally.broken[-1].seed not in _TOLD:
        _TOLD.add(tally.broken[-1].seed)
        bench.say(f"seed {tally.broken[-1].seed}: {tally.broken[-1].violations[0]}")
    if tally.campaigns % 100 < 2:
        rate = tally.campaigns / tally.seconds if tally.seconds else 0.0
        bench.say(f"{tally.campaigns} campaigns, {rate:.1f}/s, {tally.violations} violations")


def _replay(seed: int, *, shrink: bool) -> int:
    quiet()
    scenario = draw(seed)
    report = play(scenario)
    if report.violations and shrink:
        scenario, report = shrunk(scenario, report.violations[0].rule)
    print(scenario, *report.trace, *report.violations, sep="\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
