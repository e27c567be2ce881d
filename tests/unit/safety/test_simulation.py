"""The simulation itself: what it promises, the bugs it must catch, and what it once found."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from tests.safety.campaigns import shrunk
from tests.safety.clockwork import SimulatedLoop, Stuck
from tests.safety.mutants import MUTANTS, Mutant
from tests.safety.scenario import Act, Odds, Scenario, draw, former
from tests.safety.simulation import play
from tests.safety.station import Habit, Nature

FOUND = (5252, 20234)
"""Seeds in which a rehearsal broke a promise once: who fell back by itself, who had been called back.

Played as they were drawn then (``former``): what is drawn since has a chance of its own. Their course
moves with every call of a store that the engine saves or adds; what was found has a campaign of its own
below, too.
"""
HUNG_NODE = 9973
"""A charger with its clock ahead: what its former node wrote late took a connector for out before us."""
RESTLESS = (2823, 4844, 6339)
"""A boot that was lost with its connection; a loop that went on into the next target of its charger; a
session that was gone at the deadline."""
RIVAL_IMAGE = 11517
"""A campaign whose order was refused wrote over the note of what the charger held for another."""
SCENARIOS = (*map(draw, (*range(7, 21), HUNG_NODE, *RESTLESS, RIVAL_IMAGE)), *map(former, FOUND))
TRIES = 20
PLAIN = Scenario(
    seed=1,
    natures=tuple(Nature(f"CP{number:02d}", f"site-{number}") for number in range(4)),
    site_sizes=(1, 1, 1, 1),
    max_down=1,
    waves=1,
    shard_size=500,
    window=200,
    rollback=False,
    max_failure_share=0.5,
    early_stop=50,
    min_attempts=1,
    attempt_seconds=900.0,
    max_attempts=1,
    wave_seconds=3600.0,
    long_history=100_000,
    rival=False,
    needs_approval=False,
    soak=False,
)


@pytest.mark.requirement("R57", "X1", "X2", "X3")
def test_randomised_campaigns_break_no_promise() -> None:
    done: Counter[str] = Counter()
    for scenario in SCENARIOS:
        report = play(scenario)
        assert not report.violations, f"seed {scenario.seed}: {report.violations[0]}"
        done += report.injected + report.seen
    for kind in ("kill -9 of a worker", "history replayed", "store away", "updates sent", "decisions"):
        assert done[kind] > 0, f"no {kind} in {len(SCENARIOS)} campaigns"


@pytest.mark.requirement("R57")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_referee_catches_a_bug_that_is_planted(mutant: Mutant) -> None:
    broken: set[str] = set()
    with mutant.alive():
        for seed in range(mutant.seed, mutant.seed + TRIES):
            broken |= {each.rule for each in play(mutant.scenario(seed), mutant.longest).violations}
            if broken & mutant.caught_by:
                return
    pytest.fail(f"{mutant.name}: nobody noticed, but for {sorted(broken)}")


def test_a_campaign_without_trouble_updates_everybody() -> None:
    report = play(PLAIN)
    assert not report.violations
    assert (report.phases, report.outcomes) == (("completed",), {"updated": 4})


def test_the_same_seed_is_the_same_campaign() -> None:
    first, second = play(draw(11)), play(draw(11))
    assert first.trace == second.trace
    assert (first.injected, first.seconds) == (second.injected, second.seconds)


def test_a_worker_that_dies_again_and_again_changes_nothing_but_the_time() -> None:
    kills = tuple(Act(at, "kill worker", "", 3.0) for at in range(2, 400, 20))
    report = play(replace(PLAIN, acts=kills))
    assert not report.violations
    assert report.outcomes == {"updated": 4}
    assert report.injected["history replayed"] > 5


def test_what_fails_is_made_smaller() -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "Installed is success")
    lies = Nature("CP00", "site-0", habits=(Habit.LIES,))
    crowded = replace(PLAIN, natures=(lies, *PLAIN.natures[1:]), odds=Odds(commit_slow=0.1))
    with mutant.alive():
        scenario, report = shrunk(crowded, "success without a boot")
    assert (len(scenario.natures), scenario.odds) == (1, Odds())
    assert report.violations[0].rule == "success without a boot"


@pytest.mark.requirement("R24", "R57")
@pytest.mark.parametrize("seconds", [100.0, 1200.0, 3000.0])
@pytest.mark.parametrize("at", [15.0, 35.0, 100.0])
def test_a_machine_that_is_switched_off_in_the_middle_costs_no_charger_its_attempt(
    at: float, seconds: float
) -> None:
    """For less than an attempt may take, and for more than three times as long."""
    report = play(replace(PLAIN, early_stop=1, acts=(Act(at, "switch off", seconds=seconds),)))
    assert not report.violations
    assert (report.phases, report.outcomes) == (("completed",), {"updated": 4})


# --- what it found -------------------------------------------------------------------------------


@pytest.mark.requirement("X1", "X3")
def test_a_charger_that_is_late_is_not_given_back_to_cars_while_it_installs() -> None:
    """Seed 415: put back at its deadline, it took in a car and restarted under it."""
    late = Nature("CP00", "site-0", habits=(Habit.LATE,), visits=((1000.0, 4000.0, 1),))
    report = play(replace(PLAIN, natures=(late,)))
    assert not report.violations


@pytest.mark.requirement("X11", "R31")
@pytest.mark.parametrize("at", [50.0, 80.0, 110.0])
def test_a_canary_that_was_called_back_and_updated_all_the_same_rehearses_nothing(at: float) -> None:
    """Seed 20234: it went back and forward again, after a person had been told that it was left alone."""
    quiet = Nature("CP00", "site-0", habits=(Habit.SAYS_NOTHING,))
    given = replace(PLAIN, natures=(quiet, *PLAIN.natures[1:]), rollback=True, waves=2, rehearse=1)
    report = play(replace(given, attempt_seconds=300.0, acts=(Act(at, "recall", "CP00"),)))
    assert not report.violations
    assert report.outcomes == {"updated": 6}, "another one goes both ways"


def test_what_an_image_cuts_by_itself_after_its_proof_is_counted_and_not_laid_to_us() -> None:
    """Seed 300219: it had booted, was proved and given back, and went down once more under a car."""
    visits = tuple((float(at), 2.0, 1) for at in range(100, 900, 3))
    loops = Nature("CP00", "site-0", habits=(Habit.LOOPS_THEN_RUNS,), visits=visits)
    report = play(replace(PLAIN, seed=7, natures=(loops,)))
    assert not report.violations
    assert report.seen["crashed in service"] == 1
    steady = play(replace(PLAIN, seed=7, natures=(loops,), steady_seconds=60.0))
    assert (steady.violations, steady.outcomes) == ([], {"updated": 1}), "it runs once it is through"
    assert steady.seen["crashed in service"] == 0


# --- the clock -----------------------------------------------------------------------------------


def test_days_pass_at_once() -> None:
    loop = SimulatedLoop()
    loop.run(asyncio.sleep(86_400.0))
    assert loop.time() >= 86_400.0


def test_waiting_for_nothing_is_noticed() -> None:
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck):
        SimulatedLoop().run(wait())
