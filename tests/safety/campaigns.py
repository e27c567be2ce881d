"""Many campaigns on all processors: what was done to them, what was looked at, and what was broken."""

import logging
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import structlog

from tests.safety.scenario import Scenario, draw, smaller
from tests.safety.simulation import Report, play

_CHUNK = 10
SHRINKS = 150
"""So many smaller campaigns are tried before the smallest found is shown."""


@dataclass(slots=True)
class Tally:
    """Of many campaigns."""

    first: int
    campaigns: int = 0
    seconds: float = 0.0
    injected: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    simulated_hours: float = 0.0
    broken: list[Report] = field(default_factory=list)

    def add(self, report: Report) -> None:
        self.campaigns += len(report.phases)
        self.injected += report.injected
        self.seen += report.seen
        self.outcomes += report.outcomes
        self.phases.update(report.phases)
        self.simulated_hours += report.seconds / 3600
        if report.violations:
            self.broken.append(report)

    @property
    def violations(self) -> int:
        return sum(len(report.violations) for report in self.broken)


def quiet() -> None:
    """The engine's own log lines are of no use here, and cost time."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _played(seed: int) -> Report:
    report = play(draw(seed))
    if not report.violations:
        report.trace = []
    return report


def play_many(
    seeds: range,
    *,
    jobs: int | None = None,
    minutes: float | None = None,
    each: Callable[[Tally], None] = lambda _tally: None,
) -> Tally:
    """The campaigns of these seeds, or as many of them as there is time for."""
    tally, began = Tally(seeds.start), time.monotonic()
    for report in _reports(seeds, jobs or os.cpu_count() or 1):
        tally.add(report)
        tally.seconds = time.monotonic() - began
        each(tally)
        if minutes is not None and tally.seconds > minutes * 60:
            break
    return tally


def _reports(seeds: range, jobs: int) -> Iterator[Report]:
    # In processes of its own even with one job: whoever asks keeps their log.
    with multiprocessing.get_context("spawn").Pool(jobs, initializer=quiet) as pool:
        yield from pool.imap_unordered(_played, seeds, chunksize=_CHUNK)


def shrunk(scenario: Scenario, rule: str, *, tries: int = SHRINKS) -> tuple[Scenario, Report]:
    """The smallest campaign found in which the same rule is broken."""
    report, left, found = play(scenario), tries, True
    while found and left > 0:
        found = False
        for one in smaller(scenario):
            left -= 1
            again = play(one)
            if any(each.rule == rule for each in again.violations):
                scenario, report, found = one, again, True
                break
            if left <= 0:
                break
    return scenario, report
